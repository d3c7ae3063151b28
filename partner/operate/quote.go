package operate

import (
	"fmt"
	"regexp"
	"strings"
)

// name returns an identifier in brackets, as QUOTENAME does.
func name(s string) string { return "[" + strings.ReplaceAll(s, "]", "]]") + "]" }

// text returns a T-SQL string as N'…'.
func text(s string) string { return "N" + plain(s) }

// plain returns a T-SQL string as '…', for statements that take no N.
func plain(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// address matches a valid address of an endpoint. It contains nothing that must be quoted.
var address = regexp.MustCompile(`^[^:/'"\[\]()\s$]+:[0-9]{1,5}$`)

// fill puts values into the form of a statement: %[ takes an identifier, %N a string
// with N, %' a string without, and %s a piece of T-SQL.
func fill(form string, values ...any) string {
	var out strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '%' || i+1 == len(form) {
			out.WriteByte(form[i])
			continue
		}
		i++
		v := fmt.Sprint(values[0])
		values = values[1:]
		switch form[i] {
		case '[':
			out.WriteString(name(v))
		case 'N':
			out.WriteString(text(v))
		case '\'':
			out.WriteString(plain(v))
		default:
			out.WriteString(v)
		}
	}
	return out.String()
}

// variable returns the sqlcmd variable for a value that is not known when the script is written.
func variable(name string) string { return "$(" + name + ")" }

// expand replaces variables by their values. Unknown variables are unchanged.
func expand(statement string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		pairs = append(pairs, variable(name), value)
	}
	return strings.NewReplacer(pairs...).Replace(statement)
}
