package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-sql/sqlexp"
	mssql "github.com/microsoft/go-mssqldb"
)

// ask sends a batch, and returns the server's response, one event per line.
func ask(ctx context.Context, c *sql.Conn, text string) ([]string, error) {
	var told sqlexp.ReturnMessage
	rows, err := c.QueryContext(ctx, text, &told)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	a := &answering{rows: rows}
	for more := true; more; {
		switch m := told.Message(ctx).(type) {
		case sqlexp.MsgNext:
			if err := a.resultSet(); err != nil {
				return a.list, err
			}
		case sqlexp.MsgRowsAffected:
			a.count(m.Count)
		case sqlexp.MsgNotice:
			a.addInfo(m.Message)
		case sqlexp.MsgError:
			if err := a.addError(m.Error); err != nil {
				return a.list, err
			}
		case sqlexp.MsgNextResultSet:
			if err := ctx.Err(); err != nil {
				return a.list, err
			}
			more = rows.NextResultSet()
		}
	}
	if err := rows.Err(); err != nil && !isFromServer(err) {
		return a.list, err
	}
	return a.list, rows.Close()
}

// answering collects a response.
type answering struct {
	rows  *sql.Rows
	list  []string
	shown int64 // number of rows of the result set that has just ended; -1: none
}

// isFromServer reports whether the server sent the error. Such an error is an event of the response.
func isFromServer(err error) bool {
	var e mssql.Error
	return errors.As(err, &e)
}

func (a *answering) resultSet() error {
	types, err := a.rows.ColumnTypes()
	if err != nil {
		return err
	}
	var columns []string
	for _, t := range types {
		name := t.Name()
		if name == "" {
			name = "-"
		}
		columns = append(columns, name+" "+typeName(t))
	}
	a.list = append(a.list, "columns "+strings.Join(columns, ", "))
	values, into := make([]any, len(types)), make([]any, len(types))
	for i := range values {
		into[i] = &values[i]
	}
	for a.shown = 0; a.rows.Next(); a.shown++ {
		if err := a.rows.Scan(into...); err != nil {
			return err
		}
		var row []string
		for i, v := range values {
			row = append(row, literal(v, types[i]))
		}
		a.list = append(a.list, "row "+strings.Join(row, ", "))
	}
	return nil
}

// count adds a row count, unless it only repeats the result set before it.
func (a *answering) count(n int64) {
	if last := len(a.list) - 1; last >= 0 && n == a.shown && (strings.HasPrefix(a.list[last], "row ") || strings.HasPrefix(a.list[last], "columns ")) {
		return
	}
	a.list = append(a.list, fmt.Sprintf("count %d", n))
}

// unplaced are messages whose position in a response is not documented. They are not compared. They report a change of
// the database or the language, a terminated statement (after its error), an aggregate that eliminated NULLs, or an
// object that does not exist yet.
var unplaced = map[int32]bool{5701: true, 5703: true, 3621: true, 8153: true, 2007: true}

// addInfo adds a message that is not an error.
func (a *answering) addInfo(m fmt.Stringer) {
	text := m.String()
	e, ok := any(m).(mssql.Error)
	if ok && unplaced[e.Number] {
		return
	}
	if !ok || e.Number == 0 && e.Class == 0 {
		a.list = append(a.list, strings.TrimRight("print "+text, " "))
		return
	}
	a.list = append(a.list, describe("info", e))
}

// addError adds an error. It removes an open result set without rows, because the manual does not say whether the
// columns are sent before the error.
func (a *answering) addError(err error) error {
	var e mssql.Error
	if !errors.As(err, &e) {
		return err
	}
	if last := len(a.list) - 1; last >= 0 && strings.HasPrefix(a.list[last], "columns ") {
		a.list = a.list[:last]
	}
	a.list = append(a.list, describe("error", e))
	return nil
}

// describe returns a message of the server as a line of a response.
func describe(kind string, e mssql.Error) string {
	procedure := ""
	if e.ProcName != "" {
		procedure = " procedure " + e.ProcName
	}
	return fmt.Sprintf("%s %d class %d state %d%s line %d: %s", kind, e.Number, e.Class, e.State, procedure, e.LineNo, strings.ReplaceAll(e.Message, "\n", " "))
}

// typeName returns a column's type as T-SQL declares it.
func typeName(t *sql.ColumnType) string {
	name := strings.ToLower(t.DatabaseTypeName())
	switch name {
	case "decimal":
		precision, scale, _ := t.DecimalSize()
		return fmt.Sprintf("%s(%d,%d)", name, precision, scale)
	case "datetime2", "time", "datetimeoffset":
		_, scale, _ := t.DecimalSize()
		return fmt.Sprintf("%s(%d)", name, scale)
	case "char", "varchar", "nchar", "nvarchar", "binary", "varbinary":
		length, _ := t.Length()
		switch {
		case length > 8000 || length < 0:
			return name + "(max)"
		}
		return fmt.Sprintf("%s(%d)", name, length)
	}
	return name
}

// literal returns a value as a row shows it.
func literal(v any, t *sql.ColumnType) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case bool:
		if v {
			return "1"
		}
		return "0"
	case string:
		return quoted(v)
	case time.Time:
		return quoted(timeText(v, t))
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		switch t.DatabaseTypeName() {
		case "DECIMAL", "MONEY", "SMALLMONEY":
			return string(v)
		case "UNIQUEIDENTIFIER":
			var id mssql.UniqueIdentifier
			if err := id.Scan(v); err != nil {
				return err.Error()
			}
			return quoted(id.String())
		}
		return fmt.Sprintf("0x%X", v)
	}
	return fmt.Sprint(v)
}

func quoted(s string) string {
	return "'" + strings.NewReplacer("'", "''", "\n", "\\n").Replace(s) + "'"
}

// timeText returns a date or a time with as many digits as its type has.
func timeText(v time.Time, t *sql.ColumnType) string {
	fraction := ""
	if _, scale, ok := t.DecimalSize(); ok && scale > 0 {
		fraction = "." + strings.Repeat("0", int(scale))
	}
	switch t.DatabaseTypeName() {
	case "DATE":
		return v.Format("2006-01-02")
	case "TIME":
		return v.Format("15:04:05" + fraction)
	case "SMALLDATETIME":
		return v.Format("2006-01-02 15:04:05")
	case "DATETIME":
		return v.Format("2006-01-02 15:04:05.000")
	case "DATETIMEOFFSET":
		return v.Format("2006-01-02 15:04:05" + fraction + " -07:00")
	}
	return v.Format("2006-01-02 15:04:05" + fraction)
}

// agrees reports whether a response is the expected one.
func agrees(want, got []string) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !sameEvent(want[i], got[i]) {
			return false
		}
	}
	return true
}

// message splits the line of an error or an info: kind and number, class, state, procedure, line, text.
var message = regexp.MustCompile(`(?s)^((?:info|error) \d+)(?: class (\d+))?(?: state (\d+))?(?: procedure ([^ :]+))?(?: line (\d+))?(?:: (.*))?$`)

// sameEvent compares a line of a response. It does not compare what the expected line omits.
func sameEvent(want, got string) bool {
	if want == got {
		return true
	}
	if w, g := message.FindStringSubmatch(want), message.FindStringSubmatch(got); w != nil && g != nil {
		for i := 1; i < len(w); i++ {
			if w[i] != "" && w[i] != g[i] {
				return false
			}
		}
		return true
	}
	w, isColumns := strings.CutPrefix(want, "columns ")
	g, wasColumns := strings.CutPrefix(got, "columns ")
	if !isColumns || !wasColumns {
		return false
	}
	ws, gs := strings.Split(w, ", "), strings.Split(g, ", ")
	if len(ws) != len(gs) {
		return false
	}
	for i := range ws {
		if !sameColumn(ws[i], gs[i]) {
			return false
		}
	}
	return true
}

// sameColumn compares a column's name and type; the expected column may omit the type or its length.
func sameColumn(want, got string) bool {
	length := strings.LastIndexByte(got, '(')
	name := got[:strings.LastIndexByte(got, ' ')]
	return want == got || want == name || length > 0 && want == got[:length]
}

// A response agrees with the expected one if it has all that the expected one states.
func TestAgrees(t *testing.T) {
	for _, c := range []struct {
		want, got string
		agree     bool
	}{
		{"row 1, 'a'", "row 1, 'a'", true},
		{"row 1, 'a'", "row 1, 'a '", false},
		{"row 1", "row 2", false},
		{"count 1", "count 2", false},
		{"print a", "print b", false},
		{"columns q", "columns q int", true},
		{"columns q int", "columns q bigint", false},
		{"columns q int", "columns r int", false},
		{"columns -, b c", "columns - int, b c int", true},
		{"columns q decimal", "columns q decimal(5,2)", true},
		{"columns q decimal(5,2)", "columns q decimal(5,3)", false},
		{"columns q varchar(1)", "columns q varchar(10)", false},
		{"columns q", "columns q int, r int", false},
		{"error 8134", "error 8134 class 16 state 1 line 1: Divide by zero error encountered.", true},
		{"error 8134 class 16 line 1", "error 8134 class 16 state 1 line 1: no", true},
		{"error 8134 line 2", "error 8134 class 16 state 1 line 1: no", false},
		{"error 8134 state 2", "error 8134 class 16 state 1 line 1: no", false},
		{"error 8134 procedure p", "error 8134 class 16 state 1 line 1: no", false},
		{"error 8134 procedure p", "error 8134 class 16 state 1 procedure p line 1: no", true},
		{"error 8134: no", "error 8134 class 16 state 1 line 1: yes", false},
		{"error 8134", "error 813 class 16 state 1 line 1: yes", false},
		{"error 50000", "info 50000 class 10 state 1 line 1: yes", false},
	} {
		if got := agrees([]string{c.want}, []string{c.got}); got != c.agree {
			t.Errorf("%q and %q: %t", c.want, c.got, got)
		}
	}
	if agrees([]string{"row 1"}, []string{"row 1", "row 1"}) || agrees([]string{"row 1", "row 1"}, []string{"row 1"}) {
		t.Error("a response with an additional line agrees")
	}
}
