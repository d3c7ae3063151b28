// Package sqlname says which names and paths may stand in T-SQL that is printed as a script.
//
// Quoting keeps a name from ending its brackets or quotes, and is enough for a server. A script is read by sqlcmd or
// SQL Server Management Studio first, and these know nothing of brackets: they look for their own words at the beginning
// of every line, and replace $(…) wherever it stands, comments included. So a name with such words is refused, before
// anything is printed or sent. It costs one pass over the name; the package imports nothing of this module.
package sqlname

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is wrong with a name.
var (
	ErrControl  = errors.New("it has a control character, such as the end of a line")
	ErrEncoding = errors.New("it is not UTF-8")
	ErrVariable = errors.New("it has $(, which begins a variable of sqlcmd's")
	ErrCommand  = errors.New("it begins like GO, :, !! or another command of sqlcmd's")
)

// command is how a line begins that sqlcmd takes for itself. Blanks before it do not count.
var command = regexp.MustCompile(`(?i)^\s*(:|!!|(go(\s+[0-9]+)?|ed|quit|reset|list|exit(\(.*)?)\s*$)`)

// Check tells why a script can't have the name or path, as one of the errors above, or nil.
func Check(name string) error {
	switch {
	case !utf8.ValidString(name):
		return ErrEncoding
	case strings.ContainsFunc(name, ends):
		return ErrControl
	case strings.Contains(name, "$("):
		return ErrVariable
	case command.MatchString(name):
		return ErrCommand
	}
	return nil
}

// CheckAll is Check of several names; the error has what, the name and the reason. Empty names are left out.
func CheckAll(what string, names ...string) error {
	for _, name := range names {
		if err := Check(name); err != nil {
			return fmt.Errorf("the %s %q can't stand in a script: %w. Use or make one of another name", what, name, err)
		}
	}
	return nil
}

// ends reports whether a client may take r for the end of a line, or a terminal for an order.
func ends(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
