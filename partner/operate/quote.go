package operate

import (
	"fmt"
	"regexp"
	"strings"
)

// name writes an identifier in brackets, as QUOTENAME does.
func name(s string) string { return "[" + strings.ReplaceAll(s, "]", "]]") + "]" }

// text writes a string of T-SQL, as N'…'.
func text(s string) string { return "N" + plain(s) }

// plain writes a string as '…': where the manual's form has no N.
func plain(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// address is what an endpoint's address may look like; none of it needs quoting.
var address = regexp.MustCompile(`^[^:/'"\[\]()\s$]+:[0-9]{1,5}$`)

// fill puts values into the statements' forms: each %[ is an identifier, %N a string
// with its N, %' one without, and %s a piece of T-SQL.
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

// variable is how a value that is not known while the script is written stands in it:
// sqlcmd's own form.
func variable(name string) string { return "$(" + name + ")" }

// expand puts the values of variables in. What is not one of them stays as it is.
func expand(statement string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		pairs = append(pairs, variable(name), value)
	}
	return strings.NewReplacer(pairs...).Replace(statement)
}
