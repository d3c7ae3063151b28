package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// Planted is what a test has put in place of the truth about one partner: rows of
// system views as they were recorded on another server, how its database answers as a
// replica, and what statements of availability groups do. An embedded pair is no
// availability group; with these it can show the face of one.
type Planted struct {
	// Views has the rows of a view under its name, as in "sys.databases". Each row maps
	// columns to values: nil, bool, int, int64, float64 or string. A column that a row
	// does not name is NULL. Views that are not named here tell the truth.
	Views map[string][]map[string]any
	// Secondary, while the partner is the mirror, is how its database answers instead of
	// with 954: ReadableSecondary, or an error.
	Secondary error
	// Statement is given each statement that begins with CREATE, ALTER or DROP
	// AVAILABILITY GROUP, and ALTER DATABASE … SET HADR, instead of the refusal they meet
	// otherwise. nil: refused.
	Statement func(text string) error
	// Refuse is given each text that is run otherwise, before it is. An error that it returns is the answer (several
	// messages of one failure: tds.Errors); nil lets the text run. nil: nothing is refused.
	Refuse func(text string) error
}

// planted is what is planted in a partner, by the views' tables.
type planted struct {
	mu        sync.Mutex
	tables    map[string][][]any
	statement func(text string) error
	refuse    func(text string) error
}

// Plant puts p in place of the truth; the zero Planted takes everything away again. The error names
// a view or column that there is none of.
func (p *Partner) Plant(plant Planted) error {
	tables := map[string][][]any{}
	for name, rows := range plant.Views {
		table := strings.ReplaceAll(strings.ToLower(name), ".", "_")
		columns := views()[table].columns
		if columns == nil {
			return fmt.Errorf("plant %s: there is no such view", name)
		}
		tables[table] = [][]any{}
		for _, row := range rows {
			values := make([]any, len(columns))
			for column, v := range row {
				i := slices.Index(columns, strings.ToLower(column))
				if i < 0 {
					return fmt.Errorf("plant %s: it has no column %s, only %s", name, column, strings.Join(columns, ", "))
				}
				values[i] = v
			}
			tables[table] = append(tables[table], values)
		}
	}
	p.planted.mu.Lock()
	defer p.planted.mu.Unlock()
	p.planted.tables, p.planted.statement, p.planted.refuse = tables, plant.Statement, plant.Refuse
	if p.Planted.Store(nil); plant.Secondary != nil {
		p.Planted.Store(&mirror.PlantedAnswer{Err: plant.Secondary})
	}
	return nil
}

// rows are the rows planted in a view, if any are.
func (t *planted) rows(view string) ([][]any, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows, ok := t.tables[view]
	return rows, ok
}

// take runs a statement of availability groups, if somebody planted what it does, and refuses what shall be refused.
func (t *planted) intercept(text string) (taken bool, err error) {
	t.mu.Lock()
	f, refuse := t.statement, t.refuse
	t.mu.Unlock()
	switch {
	case f != nil && groupStatement(text):
		return true, f(text)
	case refuse != nil:
		err = refuse(text)
	}
	return err != nil, err
}

// groupStatement says whether a text is a statement of availability groups.
func groupStatement(text string) bool {
	words := strings.Fields(strings.ToUpper(text))
	if len(words) < 4 {
		return false
	}
	return words[1] == "AVAILABILITY" && words[2] == "GROUP" || words[0] == "ALTER" && words[1] == "DATABASE" && slices.Contains(words, "HADR")
}

// view is the table of a system view.
type view struct {
	text    string   // that makes it where it is not there
	columns []string // in lower case
	types   []string // as they are declared; "": any
}

// views are the tables of the system views, as systemViewsText makes them.
var views = sync.OnceValue(func() map[string]view {
	all := map[string]view{}
	for _, statement := range strings.Split(systemViewsText, ";") {
		_, rest, found := strings.Cut(statement, "CREATE TEMP TABLE ")
		if !found {
			continue
		}
		table, list, _ := strings.Cut(rest, "(")
		var v view
		var columns []string
		depth := 0
		for _, column := range strings.FieldsFunc(strings.TrimSuffix(strings.TrimSpace(list), ")"), func(r rune) bool {
			switch r {
			case '(':
				depth++
			case ')':
				depth--
			}
			return r == ',' && depth == 0
		}) {
			words := strings.Fields(column)
			v.columns = append(v.columns, strings.ToLower(words[0]))
			typ := strings.Join(words[1:], "")
			v.types = append(v.types, typ)
			if textColumn(typ) { // what stands in a view has no blanks at its end, for which SQLite's own collation does
				column += " COLLATE NOCASE"
			}
			columns = append(columns, column)
		}
		v.text = "CREATE TEMP TABLE IF NOT EXISTS " + table + "(" + strings.Join(columns, ",") + ")"
		all[strings.TrimSpace(table)] = v
	}
	return all
})

// textColumn says whether a column of the type holds text.
func textColumn(typ string) bool {
	d := dataTypeOf(sqlvalue.DeclaredSpec(typ).Name)
	return d != nil && d.isText()
}
