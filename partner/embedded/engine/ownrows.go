package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// identities is a session's state of identity columns.
type identities struct {
	last   any    // @@IDENTITY: an int64, or nil
	insert string // the table for which IDENTITY_INSERT is ON, in lower case; ""
}

// setIdentityInsert runs SET IDENTITY_INSERT.
func (b *batch) setIdentityInsert(st *tsql.SetOption) error {
	s := b.s
	name := st.Table.Object
	d, err := s.databaseFor(st.Table)
	if err != nil {
		return err
	}
	set, err := s.visible(d)
	if err != nil {
		return err
	}
	o := set[storage.ObjectKey(storage.KindTable, name)]
	switch t := o.Table(); {
	case o == nil:
		return sqlerror.New(1088, 16, `Cannot find the object "%s" because it does not exist or you do not have permissions.`, st.Table)
	case t == nil || t.Identity() == nil:
		return sqlerror.New(8106, 16, "Table '%s' does not have the identity property. Cannot perform SET operation.", st.Table)
	case !strings.EqualFold(st.Value, "ON"):
		if s.identity.insert == strings.ToLower(name) {
			s.identity.insert = ""
		}
		return nil
	case s.identity.insert != "" && s.identity.insert != strings.ToLower(name):
		return sqlerror.New(8107, 16, "IDENTITY_INSERT is already ON for table '%s.dbo.%s'. Cannot perform SET operation for table '%s'.", d.Title, s.identity.insert, st.Table)
	}
	s.identity.insert = strings.ToLower(name)
	return nil
}

// checkIdentityInsert refuses an INSERT that sets an identity column without IDENTITY_INSERT, or does not set it with
// IDENTITY_INSERT.
func (s *session) checkIdentityInsert(q *tsql.Query) error {
	if q.Kind != tsql.Insert || !q.Identity {
		return nil
	}
	if e := q.IdentityInsert(s.identity.insert == strings.ToLower(q.Key)); e != nil {
		return sqlerror.FromTSQL(e)
	}
	return nil
}

// inserted stores the identity value that an INSERT has generated.
func (b *batch) inserted(q *tsql.Query, rows, rowid int64) {
	if q.Kind == tsql.Insert && q.Identity && rows > 0 {
		b.identity, b.s.identity.last = rowid, rowid
	}
}

// identityOf returns IDENT_CURRENT, IDENT_SEED or IDENT_INCR of a table; NULL if the table has no identity column.
func (b *batch) identityOf(function, name string) (any, error) {
	n, ok := splitName(name)
	if !ok {
		return nil, nil
	}
	d := b.s.In.Load()
	if n.database != "" {
		d = b.s.p.Find(n.database)
	}
	if d == nil || d.Serving() != nil {
		return nil, nil
	}
	set, err := b.s.visible(d)
	if err != nil {
		return nil, err
	}
	t := set.Table(n.object)
	switch {
	case t == nil || t.Identity() == nil:
		return nil, nil
	case function == "IDENT_SEED":
		return t.Identity().Seed, nil
	case function == "IDENT_INCR":
		return int64(1), nil
	}
	var value any
	err = b.reading(d, func(r *storage.Reader) error {
		st, err := r.Query(t.IdentityCurrent())
		if err != nil {
			return err
		}
		v := make([]driver.Value, 1)
		_, err = st.Row(v)
		value = v[0]
		return err
	})
	return value, err
}

// refusal returns the SQL Server error for an error of SQLite in a write, with the names of the constraint and of its
// table.
func refusal(d *mirror.Database, err error, set storage.ObjectSet, kind tsql.QueryKind, table string) error {
	if err == nil || d == nil {
		return sqlerror.FromSQLite(err)
	}
	if set == nil {
		set = d.Store.Committed()
	}
	e := tsql.Written{Kind: kind, Database: d.Title, Table: set.Table(table), Tables: set.Tables()}.FromSQLite(err)
	if e == nil {
		return err
	}
	return sqlerror.FromTSQL(e)
}

// merge runs MERGE in a batch.
func (b *batch) merge(ctx context.Context, st *tsql.Merge) error {
	d, err := b.checkTables(&st.Inputs, tsql.Update)
	if err != nil {
		return err
	}
	if d == nil {
		return sqlerror.NotSupported("MERGE into %s", st.Key)
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
	var steps []step
	var ended error
	err = b.s.writing(ctx, d, func(w *storage.Writer) (err error) {
		b.s.at.rd = w.Reader
		if err := w.RunCached("SAVEPOINT merges"); err != nil {
			return err
		}
		steps, err = mergeFires(&triggeringWrite{s: b.s, d: d, w: w, b: b}, st).run(func() (err error) {
			changed, err = w.Merge(st, args, b.inserted)
			return err
		}, func() int64 { return changed })
		if ended, err = splitEnd(err); err != nil {
			return errors.Join(refusal(d, err, set, tsql.Update, st.Key), w.RunCached("ROLLBACK TO merges"), w.RunCached("RELEASE merges"))
		}
		return w.RunCached("RELEASE merges")
	})
	if told := b.sendTriggerResults(steps); told != nil {
		return told
	}
	if err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	b.s.rowCount = changed
	b.w.DoneCommand(commandOf(st), b.s.counted(changed))
	return nil
}
