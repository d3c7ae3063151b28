package config

import (
	"slices"
	"strings"
)

// Mistake is one thing in a configuration that can't be meant.
type Mistake struct {
	From string // where it was said: a place in a file, a variable, a flag; empty: nowhere
	Key  string // the key it is about, or empty
	Text string // what is wrong, and what would be right
}

// Error implements error, in one line.
func (m Mistake) Error() string {
	text := m.Text
	for _, before := range []string{m.Key, m.From} {
		if before != "" {
			text = before + ": " + text
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// Mistakes are all that were found.
type Mistakes []Mistake

// Error implements error, in one line.
func (ms Mistakes) Error() string {
	var b strings.Builder
	for i, m := range ms {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(m.Error())
	}
	return b.String()
}

// ByFlag says whether one was said on the command line.
func (ms Mistakes) ByFlag() bool {
	for _, m := range ms {
		if strings.HasPrefix(m.From, "--") {
			return true
		}
	}
	return false
}

// once drops what was found at both partners in the same words.
func (ms Mistakes) once() Mistakes {
	var kept Mistakes
	for _, m := range ms {
		if !slices.Contains(kept, m) {
			kept = append(kept, m)
		}
	}
	return kept
}
