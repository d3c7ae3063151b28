package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// Secret is a text that is never printed. Formatting, logging or encoding it gives a mask. For a Secret in an
// unexported field fmt does not call the methods below, but prints a
// pointer. The zero value is the empty text. Two secrets are == if their texts are equal.
type Secret struct {
	handle unique.Handle[string]
}

// NewSecret returns a secret with this text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{unique.Make(text)}
}

// Reveal returns the text. Use it for the driver, and never to print.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.handle.Value()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s == Secret{} }

// mask is printed instead of a secret that is not empty.
const mask = "********"

// String implements fmt.Stringer. It returns the mask, or nothing for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter. Without it a verb that does not apply to strings, such as %d, would
// print the text with its error.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, for XML, YAML and text logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
