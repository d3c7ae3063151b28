package storage

import (
	"slices"
	"strconv"
	"strings"
)

// positional writes the first place of each numbered parameter (?3) of a text as a mere ?, and tells which argument belongs to
// each ?, from 0. The driver asks SQLite for the name of every parameter that has one, and a number is a name.
// It leaves alone a text with other parameters, or with comments: then order is nil.
func positional(text string) (rewritten string, order []int) {
	var b strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'' || c == '"' || c == '`' || c == '[':
			end := quotedEnd(text, i)
			b.WriteString(text[i:end])
			i = end
			continue
		case c == '@' || c == ':' || c == '$' || strings.HasPrefix(text[i:], "--") || strings.HasPrefix(text[i:], "/*"):
			return text, nil
		case c != '?':
			b.WriteByte(c)
			i++
			continue
		}
		end := i + 1
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(text[i+1 : end])
		if err != nil || n < 1 {
			return text, nil
		}
		b.WriteByte('?')
		if at := slices.Index(order, n-1); at >= 0 {
			b.WriteString(strconv.Itoa(at + 1))
		} else {
			order = append(order, n-1)
		}
		i = end
	}
	if order == nil {
		return text, nil
	}
	return b.String(), order
}

// quotedEnd is where the quoted part ends that begins at i. A doubled mark begins another part right behind.
func quotedEnd(text string, i int) int {
	mark := text[i]
	if mark == '[' {
		mark = ']'
	}
	if end := strings.IndexByte(text[i+1:], mark); end >= 0 {
		return i + 1 + end + 1
	}
	return len(text)
}
