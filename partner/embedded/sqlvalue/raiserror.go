package sqlvalue

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// maxRaised is the limit in characters of a RAISERROR's text; a longer text is cut and ends in an ellipsis. Source: the
// manual's RAISERROR.
const maxRaised = 2047

// Raised returns the message of a RAISERROR with these values: text or number, severity, state, arguments.
func Raised(v []any, line int32) (*tds.Error, error) {
	class, _ := IntegerOf(v[1], -1<<31, 1<<31-1)
	state, _ := IntegerOf(v[2], -1<<31, 1<<31-1)
	if state < 0 || state > 255 {
		state = 1
	}
	if n, ok := v[0].(int64); ok { // sys.messages has no user-defined messages here
		if n < 13000 {
			return nil, sqlerror.New(2732, 16, "Error number %d is invalid. The number must be from 13000 through 2147483647 and it cannot be 50000.", n)
		}
		return nil, sqlerror.New(18054, 16, "Error %d, severity %d, state %d was raised, but no message with that error number was found in sys.messages.", n, class, state)
	}
	if class > 18 {
		return nil, sqlerror.New(2754, 16, "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.")
	}
	format, _ := TextOf(v[0])
	text, err := formatMessage(format, v[3:])
	if err != nil {
		return nil, err
	}
	if class == 10 {
		class = 0 // SQL Server sends severity 10 as 0
	}
	return &tds.Error{Number: 50000, Class: uint8(max(class, 0)), State: uint8(state), Message: text, Line: line}, nil
}

// formatMessage inserts arguments into a text of RAISERROR: % [flags] [width] [.precision] [h|l|I64] type, as in C's
// printf, with the types d, i, u, o, x, X and s.
func formatMessage(format string, args []any) (string, error) {
	var b strings.Builder
	next := 0
	for rest := format; rest != ""; {
		at := strings.IndexByte(rest, '%')
		if at < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:at])
		spec, after := cutSpec(rest[at+1:])
		rest = after
		if spec == "%" {
			b.WriteByte('%')
			continue
		}
		stars := strings.Count(spec, "*")
		for range stars {
			n, _ := IntegerOf(argumentAt(args, next), -1<<31, 1<<31-1)
			spec = strings.Replace(spec, "*", strconv.FormatInt(n, 10), 1)
			next++
		}
		one, err := formatOne(spec, argumentAt(args, next), next+1)
		if err != nil {
			return "", err
		}
		next++
		b.WriteString(one)
	}
	text := b.String()
	if utf8.RuneCountInString(text) > maxRaised {
		text = string([]rune(text)[:maxRaised-3]) + "..."
	}
	return text, nil
}

// argumentAt returns the argument at an index; a missing one is NULL.
func argumentAt(args []any, at int) any {
	if at < len(args) {
		return args[at]
	}
	return nil
}

// cutSpec returns the format after a % up to its type, without the size prefix.
func cutSpec(s string) (spec, rest string) {
	end := 0
	for end < len(s) && strings.IndexByte("-+0# .*123456789", s[end]) >= 0 {
		end++
	}
	spec = s[:end]
	for _, size := range []string{"I64", "h", "l"} {
		if strings.HasPrefix(s[end:], size) {
			end += len(size)
			break
		}
	}
	if end < len(s) {
		spec += s[end : end+1]
		end++
	}
	return spec, s[end:]
}

// formatOne formats one argument.
func formatOne(spec string, v any, place int) (string, error) {
	if spec == "" {
		return "", errFormat(spec)
	}
	flags, kind := spec[:len(spec)-1], spec[len(spec)-1]
	if v == nil {
		return fmt.Sprintf("%"+strings.TrimLeft(flags, "+0# ")+"s", "(null)"), nil
	}
	n, isNumber := v.(int64)
	text, isText := v.(string)
	switch kind {
	case 's':
		if isText {
			return fmt.Sprintf("%"+flags+"s", text), nil
		}
	case 'd', 'i':
		if isNumber {
			return fmt.Sprintf("%"+flags+"d", n), nil
		}
	case 'u', 'o', 'x', 'X':
		if isNumber {
			var value any = uint64(n)
			if n == int64(int32(n)) {
				value = uint32(n)
			}
			return fmt.Sprintf("%"+flags+strings.Replace(string(kind), "u", "d", 1), value), nil
		}
	default:
		return "", errFormat(spec)
	}
	return "", sqlerror.New(2786, 16, "The data type of substitution parameter %d does not match the expected type of the format specification.", place)
}

func errFormat(spec string) error {
	return sqlerror.New(2787, 16, "Invalid format specification: '%%%s'.", spec)
}
