package embedded

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// What a session knows of its identity columns.
type identities struct {
	last   any    // @@IDENTITY: an int64, or nil
	insert string // the table that IDENTITY_INSERT is ON of, in lower case; ""
}

// setIdentityInsert is SET IDENTITY_INSERT.
func (b *batch) setIdentityInsert(st *tsql.SetOption) error {
	s := b.s
	name := st.Table.Object
	d, err := s.here(st.Table)
	if err != nil {
		return err
	}
	set, err := s.visible(d)
	if err != nil {
		return err
	}
	o := set[objectKey(kindTable, name)]
	switch t := o.table(); {
	case o == nil:
		return message(1088, 16, `Cannot find the object "%s" because it does not exist or you do not have permissions.`, st.Table)
	case t == nil || t.Identity() == nil:
		return message(8106, 16, "Table '%s' does not have the identity property. Cannot perform SET operation.", st.Table)
	case !strings.EqualFold(st.Value, "ON"):
		if s.identity.insert == strings.ToLower(name) {
			s.identity.insert = ""
		}
		return nil
	case s.identity.insert != "" && s.identity.insert != strings.ToLower(name):
		return message(8107, 16, "IDENTITY_INSERT is already ON for table '%s.dbo.%s'. Cannot perform SET operation for table '%s'.", d.title, s.identity.insert, st.Table)
	}
	s.identity.insert = strings.ToLower(name)
	return nil
}

// mayInsert refuses an INSERT whose identity column is given a value, or not, against IDENTITY_INSERT.
func (s *session) mayInsert(q *tsql.Query) error {
	if q.Kind != tsql.Insert || !q.Identity {
		return nil
	}
	if e := q.IdentityInsert(s.identity.insert == strings.ToLower(q.Key)); e != nil {
		return fromTSQL(e)
	}
	return nil
}

// inserted notes the identity that an INSERT has made.
func (b *batch) inserted(q *tsql.Query, rows, rowid int64) {
	if q.Kind == tsql.Insert && q.Identity && rows > 0 {
		b.identity, b.s.identity.last = rowid, rowid
	}
}

// identityOf is IDENT_CURRENT, IDENT_SEED or IDENT_INCR of a table; NULL where it has no identity.
func (b *batch) identityOf(function, name string) (any, error) {
	n, ok := splitName(name)
	if !ok {
		return nil, nil
	}
	d := b.s.in.Load()
	if n.database != "" {
		d = b.s.p.find(n.database)
	}
	if d == nil || d.serving() != nil {
		return nil, nil
	}
	set, err := b.s.visible(d)
	if err != nil {
		return nil, err
	}
	t := set.table(n.object)
	switch {
	case t == nil || t.Identity() == nil:
		return nil, nil
	case function == "IDENT_SEED":
		return t.Identity().Seed, nil
	case function == "IDENT_INCR":
		return int64(1), nil
	}
	var value any
	err = b.reading(d, func(r *reader) error {
		st, err := r.query(t.IdentityCurrent())
		if err != nil {
			return err
		}
		v := make([]driver.Value, 1)
		_, err = st.row(v)
		value = v[0]
		return err
	})
	return value, err
}

// refusal puts what SQLite says of a write into SQL Server's words, with the names of the constraint and of its table.
func refusal(d *database, err error, set objectSet, kind tsql.QueryKind, table string) error {
	if err == nil || d == nil {
		return inWords(err)
	}
	if set == nil {
		set = d.store.committed()
	}
	e := tsql.Written{Kind: kind, Database: d.title, Table: set.table(table), Tables: set.tables()}.FromSQLite(err)
	if e == nil {
		return err
	}
	return fromTSQL(e)
}

// merge runs MERGE in a batch.
func (b *batch) merge(ctx context.Context, st *tsql.Merge) error {
	d, err := b.checkTables(&st.Inputs, tsql.Update)
	if err != nil {
		return err
	}
	if d == nil {
		return notSupported("MERGE into %s", st.Key)
	}
	args, err := b.bind(st.Inputs)
	if err != nil {
		return err
	}
	set, err := b.s.visible(d)
	if err != nil {
		return err
	}
	var changed int64
	err = b.s.writing(ctx, d, func(w *writer) (err error) {
		if err := w.say("SAVEPOINT merges"); err != nil {
			return err
		}
		if changed, err = w.merge(st, args); err != nil {
			return errors.Join(refusal(d, err, set, tsql.Update, st.Key), w.say("ROLLBACK TO merges"), w.say("RELEASE merges"))
		}
		return w.say("RELEASE merges")
	})
	if err != nil {
		return err
	}
	b.s.rowCount = changed
	b.w.Did(commandOf(st), b.s.counted(changed))
	return nil
}

// merge runs the statements of a MERGE, and tells how many rows it changed.
func (w *writer) merge(st *tsql.Merge, args []driver.NamedValue) (changed int64, err error) {
	run := func(text string, args []driver.NamedValue) (int64, error) {
		one, err := w.query(text)
		if err != nil {
			return 0, err
		}
		r, err := one.e.ExecContext(context.Background(), args)
		if err != nil {
			return 0, err
		}
		return r.RowsAffected()
	}
	if _, err := run(st.Snapshot, args); err != nil {
		return 0, err
	}
	defer func() {
		if _, undo := run(st.Drop, nil); undo != nil {
			err = errors.Join(err, undo)
		}
	}()
	if err := w.checks(st.Check); err != nil {
		return 0, err
	}
	for _, q := range st.Writes {
		n, err := run(q.SQL, nil)
		if err != nil {
			return 0, err
		}
		changed += n
	}
	return changed, nil
}
