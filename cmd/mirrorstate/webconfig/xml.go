package webconfig

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
)

// attribute is an attribute of an XML element.
type attribute struct{ name, value string }

// attributes are the attributes of one XML element, in order.
type attributes []attribute

// MarshalJSON encodes the attributes as one object, in order.
func (as attributes) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, a := range as {
		if i > 0 {
			b = append(b, ',')
		}
		for j, text := range []string{a.name, a.value} {
			encoded, err := json.Marshal(text)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b = append(b, ':')
			}
			b = append(b, encoded...)
		}
	}
	return append(b, '}'), nil
}

// Write prints both elements with their comments.
func (el *Elements) Write(out io.Writer) error {
	var b bytes.Buffer
	writeComment(&b, append([]string{"These go into <system.web> of the web.config of every web server."}, el.Notes...))
	writeElement(&b, "sessionState", el.Session)
	writeComment(&b, el.KeyNotes)
	writeElement(&b, "machineKey", el.Key)
	_, err := out.Write(b.Bytes())
	return err
}

// writeComment writes lines as one comment. It separates double hyphens, which XML does not allow in a comment.
func writeComment(b *bytes.Buffer, lines []string) {
	b.WriteString("<!--\n")
	for _, line := range lines {
		b.WriteString("  " + strings.ReplaceAll(line, "--", "- -") + "\n")
	}
	b.WriteString("-->\n")
}

// writeElement writes an element with one attribute on each line.
func writeElement(b *bytes.Buffer, name string, as attributes) {
	b.WriteString("<" + name)
	for _, a := range as {
		b.WriteString("\n    " + a.name + `="`)
		_ = xml.EscapeText(b, []byte(a.value)) // writing to a buffer never fails
		b.WriteByte('"')
	}
	b.WriteString(" />\n")
}
