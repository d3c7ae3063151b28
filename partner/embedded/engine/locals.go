package engine

import (
	"database/sql/driver"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// declare runs DECLARE. In a loop it declares once, and initializes each time.
func (f *frame) declare(st *tsql.Declare) error {
	for _, v := range st.Vars {
		if f.b.vars[v.Name] == nil {
			if err := f.b.declareOne(v); err != nil {
				return err
			}
		}
		if err := f.b.initialize(v); err != nil {
			return err
		}
	}
	return nil
}

func (f *frame) createLocal(st *tsql.CreateLocal) error {
	switch {
	case !slices.Contains(f.locals, st.DropSQL):
	case strings.HasPrefix(st.Name, "@"):
		return nil // in a loop the table is declared once
	default:
		return sqlerror.New(2714, 16, "There is already an object named '%s' in the database.", st.Name)
	}
	there, err := f.rd.HasTemporary(st.Name)
	if err == nil && there { // a caller has a table of that name: rename it until this call ends
		h := hiddenLocal{st.Name, st.Name + " of call " + strconv.Itoa(f.depth-1)}
		if _, err = f.exec("ALTER TABLE temp."+storage.Quoted(h.name)+" RENAME TO "+storage.Quoted(h.as), nil); err == nil {
			f.hidden = append(f.hidden, h)
		}
	}
	if err == nil {
		_, err = f.exec(st.SQL, nil)
	}
	if err != nil {
		return err
	}
	f.locals = append(f.locals, st.DropSQL)
	return nil
}

// hiddenLocal is a caller's temporary table, renamed because another table has
// its name.
type hiddenLocal struct{ name, as string }

// showHidden renames the callers' tables back.
func (f *frame) showHidden() error {
	for _, h := range f.hidden {
		there, err := f.rd.HasTemporary(h.as) // a ROLLBACK may have renamed it already
		if err == nil && there {
			_, err = f.exec("ALTER TABLE temp."+storage.Quoted(h.as)+" RENAME TO "+storage.Quoted(h.name), nil)
		}
		if err != nil {
			return err
		}
	}
	f.hidden = nil
	return nil
}

func (f *frame) dropLocal(name string) error {
	for i, text := range f.locals {
		if strings.HasSuffix(strings.ToLower(text), strings.ToLower("["+name+"]")) {
			f.locals = slices.Delete(f.locals, i, i+1)
			_, err := f.exec(text, nil)
			return err
		}
	}
	return sqlerror.New(3701, 11, "Cannot drop the table '%s', because it does not exist or you do not have permission.", name)
}

// cursor is a cursor of the procedure: its rows are read when it is opened.
type cursor struct {
	query *tsql.Query
	open  bool
	rows  [][]driver.Value
}

func (f *frame) cursor(st *tsql.CursorAction) error {
	c := f.cursors[st.Name]
	switch {
	case c == nil:
		return sqlerror.New(16916, 16, "A cursor with the name '%s' does not exist.", st.Name)
	case st.Action == "DEALLOCATE":
		delete(f.cursors, st.Name)
		return nil
	case st.Action == "OPEN":
		args, err := f.bind(&c.query.Inputs)
		if err == nil {
			c.rows, err = f.rows(c.query.SQL, args)
		}
		c.open = err == nil
		return err
	case !c.open:
		return sqlerror.New(16917, 16, "Cursor is not open.")
	case st.Action == "CLOSE":
		c.open, c.rows = false, nil
		return nil
	}
	if f.fetched = -1; len(c.rows) == 0 {
		return nil
	}
	f.fetched = 0
	row := c.rows[0]
	c.rows = c.rows[1:]
	if len(row) != len(st.Into) {
		return sqlerror.New(16924, 16, "Cursorfetch: The number of variables declared in the INTO list must match that of selected columns.")
	}
	for i, name := range st.Into {
		if err := f.b.set(name, sqlvalue.Stored(row[i])); err != nil {
			return err
		}
	}
	return nil
}
