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

// element is an element of a web.config, with those below it.
type element struct {
	name       string
	line       int
	attributes []xml.Attr // those without a prefix
	below      []*element
}

// attribute gives the value of an attribute, or nothing.
func (e *element) attribute(name string) string {
	for _, a := range e.attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readXML reads a text into its outermost elements. XML's own errors are not passed on, for they
// repeat what they can't read.
func readXML(text []byte) ([]*element, error) {
	text, err := textfile.Decode(text)
	if err != nil {
		return nil, errCharset
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
		case errors.Is(err, errCharset):
			return nil, errCharset
		case err != nil:
			line, _ = dec.InputPos()
			return nil, fmt.Errorf("line %d: this is not well-formed XML; in a value & is written &amp;, < is &lt; and a quote is &quot;", line)
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := newElement(t, line)
			open[len(open)-1].below = append(open[len(open)-1].below, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// newElement keeps what matters of a start tag. Attributes with a prefix are others' business, such as
// those of a transformation. White space in a value is blanks, as XML wants it and encoding/xml does not do it.
func newElement(t xml.StartElement, line int) *element {
	e := &element{name: t.Name.Local, line: line}
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local != "xmlns" {
			a.Value = blanks.Replace(a.Value)
			e.attributes = append(e.attributes, a)
		}
	}
	return e
}

var blanks = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ")

// errCharset is the complaint about an encoding.
var errCharset = errors.New("its encoding is none of UTF-8, UTF-16, US-ASCII and ISO-8859-1; save it as UTF-8")

// charset reads the encodings that an XML declaration may name. UTF-16 is turned already.
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-16", "us-ascii":
		return input, nil
	case "iso-8859-1", "windows-1252":
		text, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(text))
		for i, b := range text {
			if b >= 0x80 && b < 0xa0 { // where the two differ, and letters are rare
				return nil, errCharset
			}
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, errCharset
}

// section is an element that ASP.NET reads as a whole, and the path of the <location> around it.
type section struct {
	*element
	location string
}

// main says whether a section is the application's own.
func (s section) main() bool { return s.location == "" || s.location == "." }

// findSections finds the sections of a name where ASP.NET looks for them: below parent, in
// <configuration> or in a <location> of it; or they are all there is.
func findSections(top []*element, parent, name string) []section {
	var found []section
	var look func(all []*element, inside, location string)
	look = func(all []*element, inside, location string) {
		for _, e := range all {
			switch {
			case e.name == name && (inside == parent || inside == ""):
				found = append(found, section{e, location})
			case e.name == "configuration" && inside == "", e.name == "system.web" && (inside == "configuration" || inside == ""):
				look(e.below, e.name, location)
			case e.name == "location" && inside == "configuration":
				look(e.below, "configuration", strings.TrimSpace(e.attribute("path")))
			}
		}
	}
	look(top, "", "")
	return found
}

// sessionStateOf chooses the <sessionState> that is meant.
func sessionStateOf(top []*element) (section, error) {
	all := findSections(top, "system.web", "sessionState")
	var chosen []section
	for _, s := range all {
		if s.main() {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		chosen = all
	}
	switch len(chosen) {
	case 0:
		return section{}, errors.New("there is no <sessionState> in <system.web>, so the application keeps its sessions InProc, in the web server's memory")
	case 1:
		return chosen[0], nil
	}
	return section{}, fmt.Errorf("<sessionState> stands there more than once, at lines %d and %d; make a file with the one that is meant", chosen[0].line, chosen[1].line)
}

// follow gives a section itself, from the file where configSource says it is.
func (s section) follow(open func(name string) ([]byte, error)) (section, error) {
	if s.attribute("configProtectionProvider") != "" {
		return s, fmt.Errorf("line %d: <%s> is encrypted for its web server; decrypt it there with aspnet_regiis -pdf, or give the pair with pair.connection_string", s.line, s.name)
	}
	file := s.attribute("configSource")
	if file == "" {
		return s, nil
	}
	text, err := open(strings.ReplaceAll(file, `\`, "/"))
	if err != nil {
		return s, fmt.Errorf("line %d: configSource of <%s>: its file can't be read: %w; it must be in the folder of this one, or below", s.line, s.name, err)
	}
	top, err := readXML(text)
	switch {
	case err != nil:
		return s, fmt.Errorf("configSource of <%s>: %w", s.name, err)
	case len(top) != 1 || top[0].name != s.name:
		return s, fmt.Errorf("line %d: configSource of <%s>: its file holds something else than this one element", s.line, s.name)
	case top[0].attribute("configSource") != "":
		return s, fmt.Errorf("line %d: configSource of <%s>: its file names another one", s.line, s.name)
	}
	return section{top[0], s.location}.follow(open)
}

// connectionStringsOf gives what can be called by name, in lower case, for a section in location.
func connectionStringsOf(top []*element, location string, open func(name string) ([]byte, error)) (map[string]Secret, error) {
	named := map[string]Secret{}
	for _, s := range findSections(top, "configuration", "connectionStrings") {
		if !s.main() && s.location != location {
			continue
		}
		s, err := s.follow(open)
		if err != nil {
			return nil, err
		}
		for _, e := range s.below {
			name := strings.ToLower(e.attribute("name"))
			switch e.name {
			case "add":
				named[name] = NewSecret(e.attribute("connectionString"))
			case "remove":
				delete(named, name)
			case "clear":
				clear(named)
			}
		}
	}
	return named, nil
}
