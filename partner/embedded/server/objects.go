package server

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// committedProcedure finds a procedure, compiled; nil: there is none.
func committedProcedure(s *storage.Snapshot, name string) (*procedure, error) {
	key := strings.ToLower(name)
	if p, ok := s.Compiled.Load(key); ok {
		return p.(*procedure), nil
	}
	p, err := procedureNamed(s.Set, name, s.Signature())
	if p != nil {
		s.Compiled.Store(key, p)
	}
	return p, err
}

// procedureBeside finds a procedure and compiles it, knowing its client's temporary tables.
func procedureBeside(o storage.ObjectSet, name string, locals localTables) (*procedure, error) {
	r := o[storage.ObjectKey(storage.KindProcedure, name)]
	if r == nil {
		return nil, nil
	}
	return compiledProcedure(r.Detail, o.Signature()+locals.signature(), func(n tsql.Name) []tsql.Column {
		if columns := locals.schema()(n); columns != nil {
			return columns
		}
		return o.Columns(n)
	})
}

// procedureNamed finds a procedure and compiles it; nil: there is none.
func procedureNamed(o storage.ObjectSet, name, signature string) (*procedure, error) {
	r := o[storage.ObjectKey(storage.KindProcedure, name)]
	if r == nil {
		return nil, nil
	}
	return compiledProcedure(r.Detail, signature, o.Columns)
}

// visible are the objects of the database as the session sees them: with what its open transaction did.
func (s *session) visible(d *mirror.Database) (storage.ObjectSet, error) {
	if s.lease == nil || s.lease.P != d {
		return d.Store.Committed(), nil
	}
	if x := s.at.program; x != nil && x.d == d { // the transaction's connection is in use, by the procedure that asks
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

// procedureIn finds a procedure of a database as the session sees it, compiled; nil: there is none.
func (s *session) procedureIn(d *mirror.Database, set storage.ObjectSet, name string) (*procedure, error) {
	if len(s.locals) > 0 {
		return procedureBeside(set, name, s.locals)
	}
	if s.lease == nil || s.lease.P != d {
		return committedProcedure(d.Store.Objects.Load(), name)
	}
	return procedureNamed(set, name, set.Signature())
}
