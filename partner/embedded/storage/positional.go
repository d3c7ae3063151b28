package storage

import (
	"slices"
	"strconv"
	"strings"
)

// positional rewrites the first occurrence of each numbered parameter (?3) of a text to a plain ?, and returns in order
// which argument each ? takes, from 0. The driver asks SQLite for the name of every named parameter, and a number
// counts as a name. It does not rewrite a text with other parameters or with comments; order is nil then.
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

// quotedEnd returns the end of the quoted part that begins at i. A doubled quote begins another quoted part directly
// after it.
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
