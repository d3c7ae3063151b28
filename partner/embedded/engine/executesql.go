package engine

import (
	"context"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// systemProcedures are the procedures that exist in every database, by name.
var systemProcedures = map[string]uint16{
	"sp_executesql": tds.ProcExecuteSQL, "sp_prepare": tds.ProcPrepare, "sp_execute": tds.ProcExecute,
	"sp_prepexec": tds.ProcPrepExec, "sp_unprepare": tds.ProcUnprepare, "sp_reset_connection": procReset,
}

// procReset stands for sp_reset_connection, which old clients call by name.
const procReset uint16 = 0xFFFF

// preparedText is a statement that sp_prepare has prepared.
type preparedText struct{ text, declared string }

func (t preparedText) size() int64 { return int64(len(t.text) + len(t.declared)) }

// The limits of prepared statements.
const (
	maxPrepared      = 1000    // statements of a session
	maxPreparedBytes = 4 << 20 // of their texts
	maxPreparedInAll = 64 << 20
)

// keepPrepared stores a prepared statement and returns its handle: 701 if a limit
// is exceeded.
func (s *session) keepPrepared(one preparedText) (int64, error) {
	switch {
	case len(s.prepared) >= maxPrepared:
		return 0, sqlerror.New(701, 17, "There is insufficient system memory to keep more than %d prepared statements of one session.", maxPrepared)
	case s.preparedBytes+one.size() > maxPreparedBytes:
		return 0, sqlerror.New(701, 17, "There is insufficient system memory to keep more than %d bytes of prepared statements of one session.", maxPreparedBytes)
	case s.p.preparedBytes.Add(one.size()) > maxPreparedInAll:
		s.p.preparedBytes.Add(-one.size())
		return 0, sqlerror.New(701, 17, "There is insufficient system memory to keep more than %d bytes of prepared statements of all sessions.", maxPreparedInAll)
	}
	s.preparedBytes += one.size()
	if s.prepared == nil {
		s.prepared = map[int64]preparedText{}
	}
	s.handle++
	s.prepared[s.handle] = one
	return s.handle, nil
}

// forgetPrepared runs sp_unprepare.
func (s *session) forgetPrepared(handle int64) {
	n := s.prepared[handle].size()
	delete(s.prepared, handle)
	s.preparedBytes -= n
	s.p.preparedBytes.Add(-n)
}

// forgetAllPrepared removes all prepared statements of the session.
func (s *session) forgetAllPrepared() {
	clear(s.prepared)
	s.p.preparedBytes.Add(-s.preparedBytes)
	s.preparedBytes = 0
}

// systemCall runs one of the system procedures.
func (s *session) systemCall(ctx context.Context, id uint16, params []tds.Param, w *tds.Response) error {
	s.p.counts.batches.Add(1)
	text := func(i int) string {
		if i >= len(params) {
			return ""
		}
		t, _ := params[i].Value.(string)
		return t
	}
	switch id {
	case tds.ProcExecuteSQL:
		return s.executeText(ctx, preparedText{text(0), text(1)}, params[min(2, len(params)):], w)
	case tds.ProcPrepare, tds.ProcPrepExec: // handle OUTPUT, declarations, text, values
		if len(params) < 3 {
			return sqlerror.New(201, 16, "Procedure or function 'sp_prepare' expects parameter '@stmt', which was not supplied.")
		}
		one := preparedText{text(2), text(1)}
		handle, err := s.keepPrepared(one)
		if err != nil {
			return err
		}
		w.ReturnValue(params[0].Name, tds.Int, handle)
		if id == tds.ProcPrepExec {
			return s.executeText(ctx, one, params[3:], w)
		}
		return nil
	case tds.ProcExecute, tds.ProcUnprepare:
		return s.executePrepared(ctx, id, params, w)
	case procReset:
		return s.Reset(ctx)
	}
	return sqlerror.NotSupported("System procedure %d", id)
}

func (s *session) executePrepared(ctx context.Context, id uint16, params []tds.Param, w *tds.Response) error {
	if len(params) == 0 {
		return sqlerror.New(201, 16, "Procedure or function 'sp_execute' expects parameter '@handle', which was not supplied.")
	}
	handle, _ := params[0].Value.(int64)
	one, ok := s.prepared[handle]
	if !ok {
		return sqlerror.New(8179, 16, "Could not find prepared statement with handle %d.", handle)
	}
	if id == tds.ProcUnprepare {
		s.forgetPrepared(handle)
		return nil
	}
	return s.executeText(ctx, one, params[1:], w)
}

// executeText runs a text with parameters, as sp_executesql does.
func (s *session) executeText(ctx context.Context, one preparedText, params []tds.Param, w *tds.Response) error {
	defer s.leaveTo(s.scope())
	defer s.dropLocals(s.locals.names())
	b := &batch{s: s, w: w}
	var names []string
	for i, q := range params {
		name := q.Name
		if name == "" {
			if names == nil {
				names = declaredNames.FindAllString(one.declared, -1)
			}
			if i >= len(names) {
				return sqlerror.New(8144, 16, "Procedure or function  has too many arguments specified.")
			}
			name = names[i]
		}
		if b.vars == nil {
			b.vars = make(map[string]*variable, len(params))
		}
		b.vars[strings.ToLower(name)] = &variable{typ: q.Type, value: storedParam(q)}
		b.types = b.types.with(strings.ToLower(name), q.Type)
	}
	if err := b.runText(ctx, one.text); err != nil {
		return err
	}
	if b.failed != 0 {
		w.ReturnStatus(b.failed)
	}
	for i, q := range params {
		if !q.Output {
			continue
		}
		name := q.Name
		if name == "" {
			name = names[i]
		}
		v := b.vars[strings.ToLower(name)]
		out, err := sqlvalue.ClientValue(v.typ, v.value)
		if err != nil {
			return err
		}
		w.ReturnValue(name, v.typ, out)
	}
	return nil
}

// storedParam returns a client's value as SQLite stores it.
func storedParam(q tds.Param) any {
	switch q.Type.Kind() {
	case tds.KindUniqueIdentifier:
		if b, ok := q.Value.([]byte); ok && len(b) == 16 {
			return sqlvalue.GuidText(b)
		}
	case tds.KindDateTimeOffset:
		if t, ok := q.Value.(time.Time); ok {
			return tsql.FormatDateTimeOffset(t)
		}
	case tds.KindNumeric, tds.KindMoney, tds.KindSmallMoney:
		if text, ok := q.Value.(string); ok {
			return tsql.DecimalValue(text)
		}
	case tds.KindDate:
		if t, ok := q.Value.(time.Time); ok {
			return t.Format(time.DateOnly)
		}
	case tds.KindTime:
		if t, ok := q.Value.(time.Time); ok {
			return t.Format("15:04:05.0000000")
		}
	case tds.KindDateTime2:
		if t, ok := sqlvalue.TimeOf(q.Value); ok && q.Value != nil {
			return sqlvalue.Datetime2Of(t).Text()
		}
	}
	return sqlvalue.Stored(q.Value)
}
