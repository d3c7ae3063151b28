package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// Planted holds the values that a test makes a partner show instead of the true ones: rows of system views as
// recorded on another server, the error of its database as a secondary replica, and the effect of statements of
// availability groups. An embedded pair is not an availability group; with Planted it can look like one.
type Planted struct {
	// Views maps the name of a view, such as "sys.databases", to its rows. Each row maps columns to values: nil,
	// bool, int, int64, float64 or string. A column that a row does not name is NULL. All other views show the true
	// rows.
	Views map[string][]map[string]any
	// Secondary is the answer of the mirror's database instead of 954, while the partner is the mirror:
	// ReadableSecondary, or an error.
	Secondary error
	// Statement is called with each statement that begins with CREATE, ALTER or DROP AVAILABILITY GROUP, and with
	// ALTER DATABASE … SET HADR; its result replaces the refusal. nil: refused.
	Statement func(text string) error
	// Refuse is called with each other text before the text runs. The client gets the error that it returns (several
	// messages of one failure: tds.Errors); nil lets the text run. A nil function refuses nothing.
	Refuse func(text string) error
}

// planted holds the Planted of a partner, by the views' tables.
type planted struct {
	mu        sync.Mutex
	tables    map[string][][]any
	statement func(text string) error
	refuse    func(text string) error
}

// Plant makes the partner show the values of plant instead of the true ones; the zero Planted restores the true
// ones. The error names a view or column that does not exist.
func (p *Partner) Plant(plant Planted) error {
	tables := map[string][][]any{}
	for name, rows := range plant.Views {
		table := strings.ReplaceAll(strings.ToLower(name), ".", "_")
		columns := views()[table].columns
		if columns == nil {
			return fmt.Errorf("plant %s: no such view", name)
		}
		tables[table] = [][]any{}
		for _, row := range rows {
			values := make([]any, len(columns))
			for column, v := range row {
				i := slices.Index(columns, strings.ToLower(column))
				if i < 0 {
					return fmt.Errorf("plant %s: no such column %s; its columns are %s", name, column, strings.Join(columns, ", "))
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

// rows returns the rows planted in a view, if there are any.
func (t *planted) rows(view string) ([][]any, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows, ok := t.tables[view]
	return rows, ok
}

// intercept runs a statement of availability groups if a test planted its effect, and refuses a text if the test
// requires that.
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

// groupStatement reports whether a text is a statement of availability groups.
func groupStatement(text string) bool {
	words := strings.Fields(strings.ToUpper(text))
	if len(words) < 4 {
		return false
	}
	return words[1] == "AVAILABILITY" && words[2] == "GROUP" || words[0] == "ALTER" && words[1] == "DATABASE" && slices.Contains(words, "HADR")
}

// view is the table of a system view.
type view struct {
	text    string   // its CREATE statement
	columns []string // in lower case
	types   []string // as declared; "": any type
}

// views returns the tables of the system views, as systemViewsText creates them.
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
			if textColumn(typ) { // SQLite's own collation is enough, because a value in a view has no trailing blanks
				column += " COLLATE NOCASE"
			}
			columns = append(columns, column)
		}
		v.text = "CREATE TEMP TABLE IF NOT EXISTS " + table + "(" + strings.Join(columns, ",") + ")"
		all[strings.TrimSpace(table)] = v
	}
	return all
})

// textColumn reports whether a column of the type holds text.
func textColumn(typ string) bool {
	d := dataTypeOf(sqlvalue.DeclaredSpec(typ).Name)
	return d != nil && d.isText()
}
