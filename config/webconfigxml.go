package config

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirrorstate/mirrorstate/textfile"
)

// element is an element of a web.config, with its child elements.
type element struct {
	name       string
	file       string // the name in configSource; empty: the web.config itself
	line       int
	attributes []xml.Attr // the attributes without a namespace prefix
	below      []*element
}

// placed is a mistake in one of the files of a web.config.
type placed struct {
	file string // the name in configSource; empty: the web.config itself
	err  error
}

// Error implements error.
func (e *placed) Error() string {
	if e.file == "" {
		return e.err.Error()
	}
	return e.file + ": " + e.err.Error()
}

// Unwrap returns the error without the file.
func (e *placed) Unwrap() error { return e.err }

// bad returns an error with the place of an element.
func (e *element) bad(format string, args ...any) error {
	return &placed{e.file, fmt.Errorf("line %d: %w", e.line, fmt.Errorf(format, args...))}
}

// attribute returns the value of an attribute, or "".
func (e *element) attribute(name string) string {
	value, _ := e.lookUp(name)
	return value
}

// lookUp returns the value of an attribute, and reports whether it is set.
func (e *element) lookUp(name string) (value string, is bool) {
	for _, a := range e.attributes {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// readXML returns the outermost elements of a file. It does not return the parser's errors, because they
// repeat the text.
func readXML(file string, text []byte) ([]*element, error) {
	switch { // UTF-16 without a mark is detected by its first character
	case bytes.HasPrefix(text, []byte("<\x00")):
		text = append([]byte("\xff\xfe"), text...)
	case bytes.HasPrefix(text, []byte("\x00<")):
		text = append([]byte("\xfe\xff"), text...)
	}
	text, err := textfile.Decode(text)
	if err != nil {
		return nil, &placed{file, errCharset}
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.CharsetReader = charset
	top := new(element)
	for open := []*element{top}; ; {
		line, _ := dec.InputPos()
		token, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return top.below, nil
		case errors.Is(err, errCharset), err != nil && strings.Contains(err.Error(), "invalid UTF-8"):
			return nil, &placed{file, errCharset}
		case err != nil:
			line, _ = dec.InputPos()
			return nil, (&element{file: file, line: line}).bad("this is not well-formed XML; in a value & is written &amp;, < is &lt; and a quote is &quot;")
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := newElement(t, file, line)
			open[len(open)-1].below = append(open[len(open)-1].below, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// newElement returns an element with the attributes of a start tag. Attributes with a prefix are skipped, such as
// those of a transformation. White space in a value becomes blanks, as XML requires; encoding/xml does not do it.
func newElement(t xml.StartElement, file string, line int) *element {
	e := &element{name: t.Name.Local, file: file, line: line}
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local != "xmlns" {
			a.Value = blanks.Replace(a.Value)
			e.attributes = append(e.attributes, a)
		}
	}
	return e
}

var blanks = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ")

// errCharset is the error for an unsupported encoding.
var errCharset = errors.New("the encoding must be UTF-8, UTF-16, US-ASCII, ISO-8859-1 or Windows-1252; save the file as UTF-8")

// windows1252 are the characters 80 to 9f of Windows-1252. Five of them are undefined, and remain control characters, as in .NET.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

// charset decodes the encodings that an XML declaration may name. UTF-16 has been decoded before.
func charset(label string, input io.Reader) (io.Reader, error) {
	label = strings.ToLower(label)
	switch label {
	case "utf-16", "us-ascii":
		return input, nil
	case "iso-8859-1", "windows-1252":
	default:
		return nil, errCharset
	}
	text, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
		if label == "windows-1252" && b >= 0x80 && b < 0xa0 {
			runes[i] = windows1252[b-0x80]
		}
	}
	return strings.NewReader(string(runes)), nil
}
