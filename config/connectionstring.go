package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// assignment is one keyword=value of a connection string.
type assignment struct {
	number  int    // counted from 1
	at      int    // the keyword's first character, counted from 1
	keyword string // in lower case
	value   string
	reset   bool // keyword=; SqlClient ignores a keyword without a value
}

// splitConnectionString splits keyword=value;… by the rules of ADO.NET. White space around
// keyword and value is ignored. A value may be in single or double quotes; a quote inside is written twice. It must be
// quoted if it contains a semicolon or begins with an equals sign or a quote. Braces have no meaning. Errors
// name the place and never the text: it might be the password.
// Source: DbConnectionOptions.GetKeyValuePair of System.Data.
func splitConnectionString(s string) ([]assignment, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("it is not UTF-8 text; save the file as UTF-8")
	}
	s = strings.TrimRight(s, "\x00") // SqlClient accepts NULs at the end
	var all []assignment
	for rest := s; ; {
		rest = strings.TrimLeftFunc(rest, func(r rune) bool { return r == ';' || unicode.IsSpace(r) })
		if rest == "" {
			return all, nil
		}
		a := assignment{number: len(all) + 1, at: utf8.RuneCountInString(s[:len(s)-len(rest)]) + 1}
		tail, err := a.cut(rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name(), err)
		}
		all = append(all, a)
		rest = tail
	}
}

// name returns the name of an assignment in errors: the keyword if it is known, otherwise the
// place. An unknown keyword may be part of a password.
func (a assignment) name() string {
	if canonical := keywords[a.keyword]; canonical != "" {
		return canonical
	}
	return fmt.Sprintf("part %d, at character %d", a.number, a.at)
}

// cut cuts one assignment off the front of s, and returns the rest.
func (a *assignment) cut(s string) (rest string, err error) {
	end := strings.IndexAny(s, "=;")
	switch {
	case end < 0 || s[end] == ';':
		return "", errors.New(`there is no "="; write keyword=value;keyword=value, and quote a value that contains a semicolon`)
	case end == 0:
		return "", errors.New(`there is no keyword before the "="`)
	}
	a.keyword = strings.ToLower(strings.TrimRightFunc(s[:end], unicode.IsSpace))
	if strings.ContainsFunc(a.keyword, unicode.IsControl) {
		return "", errors.New("the keyword contains a control character")
	}
	value := s[end+1:]
	if strings.HasPrefix(value, "=") {
		return "", errors.New(`a value that begins with "=" must be quoted, as in password="=…"`)
	}
	a.value, rest, a.reset, err = cutValue(strings.TrimLeftFunc(value, unicode.IsSpace))
	return rest, err
}

// cutValue cuts one value off the front of s, quoted or not.
func cutValue(s string) (value, rest string, empty bool, err error) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, err = cutQuoted(s)
		return value, rest, false, err
	}
	value, rest, _ = strings.Cut(s, ";")
	value = strings.TrimRightFunc(value, unicode.IsSpace)
	switch {
	case strings.ContainsFunc(value, isStrayControl):
		err = errors.New("the value contains a control character; quote it")
	case strings.HasSuffix(value, `"`) || strings.HasSuffix(value, "'"):
		err = errors.New("the value ends with a quote but does not begin with one; quote all of it")
	}
	return value, rest, value == "", err
}

// isStrayControl reports whether SqlClient refuses the character in an unquoted value: control characters except white space.
func isStrayControl(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }

// cutQuoted cuts a quoted value off the front of s. A quote inside is written twice.
func cutQuoted(s string) (value, rest string, err error) {
	quote := s[:1]
	var b strings.Builder
	for s = s[1:]; ; {
		text, after, closed := strings.Cut(s, quote)
		b.WriteString(text)
		switch {
		case !closed:
			return "", "", errors.New("a quote is not closed")
		case strings.HasPrefix(after, quote):
			b.WriteString(quote)
			s = after[1:]
			continue
		case strings.ContainsRune(b.String(), 0):
			return "", "", errors.New("the value contains a NUL")
		}
		after = strings.TrimLeftFunc(after, unicode.IsSpace)
		if after != "" && after[0] != ';' {
			return "", "", errors.New("something follows the closing quote; a quote inside a value is written twice")
		}
		return b.String(), after, nil
	}
}

// quoteValue quotes a value if necessary, as SqlConnectionStringBuilder does.
func quoteValue(v string) string {
	special := func(r rune) bool {
		return strings.ContainsRune(`"'=;`, r) || unicode.IsSpace(r) || unicode.IsControl(r)
	}
	switch {
	case v != "" && !strings.ContainsFunc(v, special):
		return v
	case strings.Contains(v, `"`) && !strings.Contains(v, "'"):
		return "'" + v + "'"
	}
	return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
}

// WithPassword adds the environment's password to a connection string that names both partners, if the string has none and
// needs one. The password is MIRRORSTATE_PAIR_PASSWORD, or in the file MIRRORSTATE_PAIR_PASSWORD_FILE. Use it for a string
// that is passed to others; [Load] does this itself. A string that can't be parsed is returned unchanged.
func WithPassword(text string, lookup func(string) (string, bool)) (string, error) {
	d, err := readConnectionString(text)
	if text == "" || err != nil || d.windows || !d.source.Password.IsZero() {
		return text, nil
	}
	lookup = textfile.Lookup(lookup)
	if password, ok := lookup(Variable("pair.password")); ok && password != "" {
		return AddPassword(text, password), nil
	}
	key := Variable("pair.password_file")
	file, ok := lookup(key)
	if !ok || file == "" {
		return text, nil
	}
	password, err := ReadPassword(file)
	if err != nil {
		return "", Mistake{From: "environment " + key, Text: err.Error()}
	}
	return AddPassword(text, password), nil
}

// AddPassword adds a password to a connection string that has none, in quotes that both .NET and the driver accept.
func AddPassword(text, password string) string {
	return strings.TrimRight(text, "; ") + `;password="` + strings.ReplaceAll(password, `"`, `""`) + `"`
}

// ReadPassword reads a password file. It must have one line, and others must not be able to change it.
func ReadPassword(file string) (string, error) {
	if err := secretfile.Refuse(file); err != nil {
		return "", err
	}
	text, err := textfile.ReadLine(file)
	switch {
	case errors.Is(err, textfile.ErrNotOneLine) || len(text) > 512:
		return "", errors.New("the file contains more than a password; write only the password, on one line")
	case errors.Is(err, textfile.ErrEncoding):
		return "", err
	case err != nil:
		return "", fmt.Errorf("can't be read: %w", reason(err))
	case text == "":
		return "", errors.New("the file is empty; write the password into it")
	}
	return text, nil
}
