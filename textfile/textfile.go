// Package textfile reads text that an operator writes: configurations, keys, passwords, certificates in PEM, variables.
//
// Editors and shells on Windows write a byte order mark before a text, or write the text as UTF-16. Shells on all
// systems end it with a line end. The operator does not see these bytes, and they are not part of the text. So every
// package reads an operator's files and variables with this package. It costs one comparison of the first bytes; only
// UTF-16 is copied. The package imports nothing of this module.
package textfile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrEncoding is the error for UTF-32, for invalid UTF-16, and for a line that is not UTF-8.
var ErrEncoding = errors.New("it is neither UTF-8 nor UTF-16 text; save the file as UTF-8")

// ErrNotOneLine is the error for a file that must hold one line and holds more.
var ErrNotOneLine = errors.New("the file holds more than one line")

// Read returns a file's bytes without a byte order mark. It converts UTF-16 with a mark to UTF-8. Other bytes, such as a
// certificate in DER, are unchanged. The error is that of os.ReadFile, or ErrEncoding.
func Read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

// Decode is Read for bytes in memory. The result may be a part of text.
func Decode(text []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return text[3:], nil
	case bytes.HasPrefix(text, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(text, []byte("\x00\x00\xfe\xff")): // UTF-32
		return nil, ErrEncoding
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		return fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		return fromUTF16(text[2:], binary.BigEndian)
	}
	return text, nil
}

// fromUTF16 decodes UTF-16 without its mark. Half of a character is an error: it would be decoded as another character.
func fromUTF16(text []byte, order binary.ByteOrder) ([]byte, error) {
	if len(text)%2 != 0 {
		return nil, ErrEncoding
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 0; i < len(text); i += 2 {
		units = append(units, order.Uint16(text[i:]))
	}
	all := make([]byte, 0, len(text))
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return nil, ErrEncoding
			}
			i++
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return nil, ErrEncoding
			}
		}
		all = utf8.AppendRune(all, r)
	}
	return all, nil
}

// KeyPair is tls.LoadX509KeyPair with Read: it loads a certificate with its intermediates, and its private key, in PEM.
func KeyPair(certificate, key string) (tls.Certificate, error) {
	c, err := Read(certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := Read(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(c, k)
}

// ReadLine returns the only line of a file, such as a password or a key, without a mark and without line ends after it.
// Blanks are kept. An empty file is an empty line. The error is that of Read, or ErrNotOneLine.
func ReadLine(path string) (string, error) {
	text, err := Read(path)
	if err != nil {
		return "", err
	}
	line := withoutLineEnds(string(text))
	switch {
	case !utf8.ValidString(line):
		return "", ErrEncoding
	case strings.ContainsAny(line, "\r\n\x00"):
		return "", ErrNotOneLine
	}
	return line, nil
}

// Variable returns the value of an environment variable without a mark before it and without line ends after it. A
// variable that was set from a file has such bytes.
func Variable(value string) string {
	return withoutLineEnds(strings.TrimPrefix(value, "\ufeff"))
}

// Lookup returns a function that calls lookup, such as os.LookupEnv, and passes every value through Variable.
func Lookup(lookup func(name string) (string, bool)) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := lookup(name)
		return Variable(value), ok
	}
}

func withoutLineEnds(text string) string { return strings.TrimRight(text, "\r\n") }
