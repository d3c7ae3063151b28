package config

import (
	"slices"
	"strings"
)

// Mistake is one error in a configuration.
type Mistake struct {
	From string // where it is: a place in a file, a variable, a flag; empty: unknown
	Key  string // the key with the error, or empty
	Text string // what is wrong, and what to do
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

// Mistakes are all errors in a configuration.
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

// ByFlag reports whether one of the mistakes is in a flag.
func (ms Mistakes) ByFlag() bool {
	for _, m := range ms {
		if strings.HasPrefix(m.From, "--") {
			return true
		}
	}
	return false
}

// once removes duplicates: a mistake that applies to both partners is reported once.
func (ms Mistakes) once() Mistakes {
	var kept Mistakes
	for _, m := range ms {
		if !slices.Contains(kept, m) {
			kept = append(kept, m)
		}
	}
	return kept
}
