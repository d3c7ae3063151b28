package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// procedureName is a name of up to four parts.
type procedureName struct{ server, database, schema, object string }

// splitName splits a name into its parts as it is written in an RPC: plain, in brackets or in double
// quotes, with periods between the parts.
func splitName(s string) (procedureName, bool) {
	if !strings.ContainsAny(s, `.["`) {
		return procedureName{object: s}, s != ""
	}
	var parts []string
	for {
		part, rest, ok := cutPart(s)
		if !ok || len(parts) == 4 {
			return procedureName{}, false
		}
		parts = append(parts, part)
		if rest == "" {
			break
		}
		s = rest[1:] // the period
	}
	for len(parts) < 4 {
		parts = append([]string{""}, parts...)
	}
	return procedureName{parts[0], parts[1], parts[2], parts[3]}, parts[3] != ""
}

// cutPart cuts off the first part; rest is empty or begins with a period.
func cutPart(s string) (part, rest string, ok bool) {
	closing := byte(0)
	if s != "" && s[0] == '[' {
		closing = ']'
	} else if s != "" && s[0] == '"' {
		closing = '"'
	}
	if closing == 0 {
		if at := strings.IndexByte(s, '.'); at >= 0 {
			return s[:at], s[at:], true
		}
		return s, "", true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != closing {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == closing { // a doubled quote stands for itself
			b.WriteByte(closing)
			i++
			continue
		}
		rest = s[i+1:]
		return b.String(), rest, rest == "" || rest[0] == '.'
	}
	return "", "", false
}

// resolve finds the procedure and checks that its database is open: 954 on the mirror, 2812 for a
// procedure that does not exist.
func (s *session) resolve(n procedureName, written string) (*procedure, *mirror.Database, error) {
	d := s.In.Load()
	if n.database != "" {
		if d = s.p.Find(n.database); d == nil && !s.p.Known(n.database) {
			return nil, nil, sqlerror.ErrNoDatabase(n.database)
		}
	}
	if n.server != "" && !strings.EqualFold(n.server, s.p.ServerName()) {
		return nil, nil, sqlerror.New(7202, 11, "Could not find server '%s' in sys.servers.", n.server)
	}
	if d != nil {
		if err := d.Serving(); err != nil {
			return nil, nil, err
		}
		if err := s.checkAccess(d); err != nil {
			return nil, nil, err
		}
		objects, err := s.visible(d)
		if err != nil {
			return nil, nil, err
		}
		p, err := s.procedureIn(d, objects, n.object)
		if err != nil {
			return nil, nil, err
		}
		if p != nil && (n.schema == "" || strings.EqualFold(n.schema, "dbo")) {
			return p, d, s.checkPermission(d, objects, "EXECUTE", p.name)
		}
		if objects.Has(storage.KindFunction, n.object) {
			return nil, nil, sqlerror.NotSupported("A call of the function %s other than EXECUTE in its own database", n.object)
		}
	}
	return nil, nil, sqlerror.ErrNoProcedure(written)
}

// callByName runs an RPC by name.
func (s *session) callByName(ctx context.Context, c *tds.Call, w *tds.Response) error {
	name, ok := splitName(c.Name)
	if !ok {
		return sqlerror.ErrNoProcedure(c.Name)
	}
	if id := systemProcedures[strings.ToLower(name.object)]; id != 0 {
		return s.systemCall(ctx, id, c.Params, w)
	}
	if known := catalogueProcedureOf(name); known != nil {
		return s.callCatalogue(ctx, known, name, rpcArguments(c.Params), w)
	}
	p, d, err := s.resolve(name, c.Name)
	if err != nil {
		return err
	}
	var few [16]given
	list := few[:0]
	for i := range c.Params {
		q := &c.Params[i]
		list = append(list, given{name: q.Name, value: q.Value, from: q.Type.Kind().String(), isDefault: q.Default, param: q})
	}
	if s.set.noExec || s.set.parseOnly {
		return nil
	}
	if err := s.checkCallOptions(); err != nil {
		return err
	}
	b := batch{s: s, w: w}
	b.beginImplicitly()
	r, err := s.execute(ctx, p, d, list)
	s.sendTransactionEnd(w)
	if err := errors.Join(s.send(w, p, r), b.aborts(err)); err != nil {
		return err
	}
	w.ReturnStatus(r.status)
	for i := range c.Params {
		q := &c.Params[i]
		at := i
		if q.Name != "" {
			at = p.parameter(q.Name)
		}
		if q.Output && p.params[at].output {
			w.ReturnValue(p.spelling(at, q.Name), p.params[at].typ, r.outputs[at])
		}
	}
	return nil
}

// spelling returns the name of an output parameter as the caller spells it.
func (p *procedure) spelling(at int, called string) string {
	if called != "" {
		return called
	}
	return p.params[at].written
}

// execute runs a procedure and returns when its writes are durable.
func (s *session) execute(ctx context.Context, p *procedure, d *mirror.Database, list []given) (*result, error) {
	a, err := p.bindArguments(list)
	if err != nil {
		return nil, err
	}
	if s.doomed {
		return nil, errUncommittable()
	}
	s.p.counts.call(p.name)
	r, err := s.runProcedure(ctx, p, d, a)
	if err != nil {
		return r, p.withProcedure(err)
	}
	return r, nil
}

// errMustWrite: a call that usually only reads needs to write.
var errMustWrite = errors.New("the call writes")

// send sends the result sets, counts and non-fatal errors of a call, also of a call that failed later.
func (s *session) send(w *tds.Response, p *procedure, r *result) error {
	if r == nil {
		return nil
	}
	for _, st := range r.steps {
		switch {
		case st.err != nil:
			e := *st.err
			if e.Proc == "" {
				e.Proc = p.name
			}
			if e.Class <= 10 { // PRINT, or RAISERROR of a message
				w.Info(&e)
				continue
			}
			s.lastError = e.Number
			w.Error(&e)
		case st.columns != nil:
			w.Columns(st.columns...)
			for _, row := range st.rows {
				if err := w.Row(row...); err != nil {
					return err
				}
			}
			s.rowCount = int64(len(st.rows))
			w.Done(s.counted(st.count))
		default:
			s.rowCount = st.count
			if n := s.counted(st.count); n >= 0 {
				w.Done(n)
			}
		}
	}
	return nil
}

// counted returns a row count for the client: no count under NOCOUNT.
func (s *session) counted(n int64) int64 {
	if s.noCount {
		return noCount
	}
	return n
}
