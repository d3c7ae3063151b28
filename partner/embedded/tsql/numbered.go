package tsql

import (
	"strconv"
	"strings"
)

// numbered replaces the parameter names of a text by numbers, which SQLite finds faster: first those of
// Parameters, then those of System.
func (in *Inputs) numbered(text string) string {
	numbers := make(map[string]int, len(in.Parameters)+len(in.System))
	for i, name := range in.Parameters {
		numbers[BindName(name)] = i + 1
	}
	for i, call := range in.System {
		numbers[call.Param] = len(in.Parameters) + i + 1
	}
	if len(numbers) == 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'' || c == '`' || c == '[':
			end := closing(text, i)
			b.WriteString(text[i:end])
			i = end
			continue
		case c != '@':
			b.WriteByte(c)
			i++
			continue
		}
		end := i + 1
		for end < len(text) && isParameterByte(text[end]) {
			end++
		}
		if n := numbers[text[i+1:end]]; n > 0 {
			b.WriteByte('?')
			b.WriteString(strconv.Itoa(n))
		} else {
			b.WriteString(text[i:end])
		}
		i = end
	}
	return b.String()
}

// closing returns the end of the quoted part that begins at i. A doubled quote begins another quoted part
// directly after it.
func closing(text string, i int) int {
	mark := text[i]
	if mark == '[' {
		mark = ']'
	}
	if end := strings.IndexByte(text[i+1:], mark); end >= 0 {
		return i + 1 + end + 1
	}
	return len(text)
}

func isParameterByte(c byte) bool {
	return c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z'
}
