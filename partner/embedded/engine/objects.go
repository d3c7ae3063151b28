package engine

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// cached returns the value computed from a snapshot's objects under that key, and computes it if necessary. It does not
// cache nil.
func cached[T any](s *storage.Snapshot, key string, make func() (*T, error)) (*T, error) {
	if v, ok := s.Compiled.Load(key); ok {
		return v.(*T), nil
	}
	v, err := make()
	if v != nil {
		s.Compiled.Store(key, v)
	}
	return v, err
}

// committedProcedure returns a committed procedure, compiled; nil: no such procedure.
func committedProcedure(s *storage.Snapshot, name string) (*procedure, error) {
	return cached(s, strings.ToLower(name), func() (*procedure, error) { return procedureNamed(s.Set, name, s.Signature(), s.Set.Columns) })
}

// procedureNamed finds a procedure and compiles it; nil: no such procedure.
func procedureNamed(o storage.ObjectSet, name, signature string, schema tsql.Schema) (*procedure, error) {
	r := o[storage.ObjectKey(storage.KindProcedure, name)]
	if r == nil {
		return nil, nil
	}
	return compiledProcedure(r.Detail, signature, schema)
}

// visible returns the objects of the database as the session sees them, including the changes of its open transaction.
func (s *session) visible(d *mirror.Database) (storage.ObjectSet, error) {
	if s.lease == nil || s.lease.P != d {
		return d.Store.Committed(), nil
	}
	if x := s.at.execution; x != nil && x.d == d { // the transaction's connection is in use by the calling procedure
		if x.w == nil {
			return x.set, nil
		}
		return x.w.ObjectSet()
	}
	var set storage.ObjectSet
	err := s.lease.Run(func(w *storage.Writer) (err error) {
		set, err = w.ObjectSet()
		return err
	})
	return set, err
}

// procedureIn returns a procedure of a database, compiled with the session's temporary tables; nil: no such procedure.
// set is the objects as the session sees them; nil: the committed objects.
func (s *session) procedureIn(d *mirror.Database, set storage.ObjectSet, name string) (*procedure, error) {
	if s.lease == nil || s.lease.P != d {
		set = nil
	}
	switch {
	case set == nil && len(s.locals) == 0:
		return committedProcedure(d.Store.Objects.Load(), name)
	case set == nil:
		set = d.Store.Committed()
	}
	if len(s.locals) == 0 {
		return procedureNamed(set, name, set.Signature(), set.Columns)
	}
	return procedureNamed(set, name, set.Signature()+s.locals.signature(), s.locals.withSchema(set.Columns))
}
