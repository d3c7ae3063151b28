// Package sqlname checks which names and paths may be used in T-SQL that is printed as a script.
//
// Quoting keeps a name from ending its brackets or quotes. That is enough for a server, but not for a script: sqlcmd or
// SQL Server Management Studio reads it first, and neither knows about brackets. They look for their own commands at the
// beginning of every line, and replace $(…) everywhere, also in comments. So a name with such text is refused before
// anything is printed or sent. A check costs one pass over the name. The package imports nothing of this module.
package sqlname

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The reasons for which Check refuses a name.
var (
	ErrControl  = errors.New("it has a control character, such as the end of a line")
	ErrEncoding = errors.New("it is not UTF-8")
	ErrVariable = errors.New("it has $(, which begins a sqlcmd variable")
	ErrCommand  = errors.New("it begins with GO, :, !! or another sqlcmd command")
)

// command matches the beginning of a line that sqlcmd reads as a command. Blanks before it do not count.
var command = regexp.MustCompile(`(?i)^\s*(:|!!|(go(\s+[0-9]+)?|ed|quit|reset|list|exit(\(.*)?)\s*$)`)

// Check returns nil if a script may use the name or path, otherwise the reason: one of the errors above.
func Check(name string) error {
	switch {
	case !utf8.ValidString(name):
		return ErrEncoding
	case strings.ContainsFunc(name, isControl):
		return ErrControl
	case strings.Contains(name, "$("):
		return ErrVariable
	case command.MatchString(name):
		return ErrCommand
	}
	return nil
}

// CheckAll runs Check on several names. The error has what, the name and the reason. Empty names are skipped.
func CheckAll(what string, names ...string) error {
	for _, name := range names {
		if err := Check(name); err != nil {
			return fmt.Errorf("the %s %q can't be used in a script: %w; choose another name, or rename it", what, name, err)
		}
	}
	return nil
}

// isControl reports whether a client may read r as the end of a line, or a terminal may read it as a control code.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
