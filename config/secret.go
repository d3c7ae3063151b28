package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// Secret is a text that is never printed: whatever formats, logs or encodes it gets a mask, also
// where a Secret is an unexported field, at which fmt does not ask the methods below: it sees a
// pointer there. The zero value is the empty text. Two secrets are == if their texts are.
type Secret struct {
	handle unique.Handle[string]
}

// NewSecret makes a secret of a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{unique.Make(text)}
}

// Reveal gives the text. It is for the driver, and for nobody who prints.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.handle.Value()
}

// IsZero says whether there is none.
func (s Secret) IsZero() bool { return s == Secret{} }

// mask stands for a secret that is there.
const mask = "********"

// String implements fmt.Stringer. An empty secret is empty: that there is none may be seen.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter: a verb that does not fit a string, such as %d, would
// print the text beside its complaint.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, for XML, YAML and text logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
