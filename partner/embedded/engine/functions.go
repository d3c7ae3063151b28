package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// statementContext is the context of a session's running statement: a function that SQLite calls within the statement
// reads there.
type statementContext struct {
	rd        *storage.Reader
	d         *mirror.Database
	set       storage.ObjectSet // nil: the committed objects
	execution *execution        // nil: a batch
	ctx       context.Context   // of the request
}

// compiledFunctions caches compiled functions by their text and the signature of the tables.
var compiledFunctions = storage.CacheByText[*procedure]{Most: 1024}

// compiledFunction returns the compiled function of a text, and compiles it if necessary.
func compiledFunction(text, signature string, schema tsql.Schema) (*procedure, error) {
	p, err := compiledFunctions.Find(text+"\x00"+signature, func() (*procedure, error) {
		f, err := tsql.ParseFunction(text, schema)
		if err != nil {
			return nil, err
		}
		p := &procedure{name: f.Name.Object, text: &f.Procedure, function: f}
		if _, ok := sqlvalue.TypeOf(f.Returns); !ok {
			return nil, sqlerror.New(2715, 16, "Column, parameter, or variable #0: Cannot find data type %s.", f.Returns.Name)
		}
		return p, p.addParameters(f.Params)
	})
	return p, sqlerror.AsWireError(err)
}

// committedFunction returns a committed function, compiled; nil: no such function.
func committedFunction(s *storage.Snapshot, name string) (*procedure, error) {
	return cached(s, "FN "+strings.ToLower(name), func() (*procedure, error) { return functionNamed(s.Set, name, s.Signature()) })
}

// functionNamed finds a function and compiles it; nil: no such function.
func functionNamed(o storage.ObjectSet, name, signature string) (*procedure, error) {
	r := o[storage.ObjectKey(storage.KindFunction, name)]
	if r == nil {
		return nil, nil
	}
	return compiledFunction(r.Detail, signature, o.Columns)
}

// function returns a function that the running statement can call; nil: no such function.
func (at *statementContext) function(name string) (*procedure, error) {
	switch {
	case at.d == nil:
		return nil, nil
	case at.set == nil:
		return committedFunction(at.d.Store.Objects.Load(), name)
	}
	return functionNamed(at.set, name, at.set.Signature())
}

// errNoFunction is the error for a function that does not exist.
func errNoFunction(n tsql.Name) *tds.Error {
	return sqlerror.New(4121, 16, `Cannot find either column "%s" or the user-defined function or aggregate "%s", or the name is ambiguous.`, n.Schema, n)
}

// checkFunctions checks that the functions of a batch's text exist and that the session may call them. data is the
// database of its tables, or nil; the result is the database of the functions.
func (b *batch) checkFunctions(in *tsql.Inputs, data *mirror.Database) (*mirror.Database, error) {
	for i := range in.System {
		call := &in.System[i]
		if call.Name != "FUNCTION" {
			continue
		}
		if err := b.checkFunction(call.Function, data); err != nil {
			return nil, err
		}
		data = b.s.at.d
	}
	return data, nil
}

// checkFunction is checkFunctions for one function. It sets the session's statement context to the function's database.
func (b *batch) checkFunction(n tsql.Name, data *mirror.Database) error {
	s := b.s
	d := s.In.Load()
	switch {
	case d == nil || !strings.EqualFold(n.Schema, "dbo"):
		return errNoFunction(n)
	case data != nil && data != d:
		return sqlerror.NotSupported("A query on a table and a function of two databases")
	}
	if err := d.Serving(); err != nil {
		return err
	}
	if err := s.checkAccess(d); err != nil {
		return err
	}
	set, err := s.visible(d)
	if err != nil {
		return err
	}
	o := set[storage.ObjectKey(storage.KindFunction, n.Object)]
	if o == nil {
		return errNoFunction(n)
	}
	s.at = statementContext{d: d, ctx: s.at.ctx}
	if s.lease != nil && s.lease.P == d {
		s.at.set = set
	}
	return s.checkPermission(d, set, "EXECUTE", o.Name)
}

// caller returns the session's number for SQLite; see [tsql.NewCaller].
func (s *session) caller() int64 {
	if s.forgetCaller == nil {
		s.callerNumber, s.forgetCaller = tsql.NewCaller(s.callFunction)
	}
	return s.callerNumber
}

// endCaller ends the registration by caller.
func (s *session) endCaller() {
	if s.forgetCaller != nil {
		s.forgetCaller()
		s.forgetCaller = nil
	}
	s.at = statementContext{}
}

// callFunction is a [tsql.Caller]: SQLite calls it within a statement of the session.
func (s *session) callFunction(name, defaults string, args []driver.Value) (driver.Value, error) {
	var value driver.Value
	err := storage.RecoverPanic(func() error {
		p, err := s.at.function(name)
		if err != nil {
			return err
		}
		if p == nil {
			return errNoFunction(tsql.Name{Schema: "dbo", Object: name})
		}
		a, err := p.functionArguments(defaults, args)
		if err == nil {
			value, err = s.invoke(p, a)
		}
		return err
	})
	s.over = false // the calling statement determines what the error ends
	if e, told := errors.AsType[*tds.Error](err); told {
		return nil, &tsql.Error{Number: e.Number, State: e.State, Class: e.Class, Message: e.Message}
	}
	return value, err
}

// functionArguments returns the values of a function's parameters. The calling text has converted them to the parameter
// types.
func (p *procedure) functionArguments(defaults string, args []driver.Value) (sqlvalue.Arguments, error) {
	if len(args) != len(p.params) {
		return nil, p.refusal(313, "An insufficient number of arguments were supplied for the procedure or function dbo.%s.", p.name)
	}
	a := make(sqlvalue.Arguments, len(args))
	for i, v := range args {
		switch q := p.params[i]; {
		case defaults[i] == 'd' && !q.optional:
			return nil, p.refusal(201, "Procedure or function '%s' expects parameter '%s', which was not supplied.", p.name, q.written)
		case defaults[i] == 'd':
			a[i] = q.value
		default:
			a[i] = sqlvalue.Argument{Raw: v, Ok: v != nil}
		}
	}
	return a, nil
}

// invoke runs a function within the running statement, with prepared statements of its own.
func (s *session) invoke(p *procedure, a sqlvalue.Arguments) (any, error) {
	if p.function.NullOfNull {
		for _, one := range a {
			if !one.Ok {
				return nil, nil
			}
		}
	}
	outer := s.at
	if outer.rd == nil {
		return nil, sqlerror.NotSupported("The function %s here", p.name)
	}
	x := &execution{s: s, d: outer.d, set: outer.set, rd: outer.rd.Nested(), ctx: outer.ctx, r: &result{}, left: maxStatements - s.ran, abort: true, silent: true}
	if outer.execution != nil {
		x.depth, x.left = outer.execution.depth, outer.execution.left
	}
	s.at = statementContext{rd: x.rd, d: x.d, set: x.set, execution: x, ctx: x.ctx}
	count := s.rowCount
	defer func() {
		s.at, s.rowCount = outer, count
		if outer.execution != nil {
			outer.execution.left = x.left
		} else {
			s.ran = maxStatements - x.left
		}
	}()
	f, err := x.call(p, a)
	if err != nil {
		return nil, p.withProcedure(err)
	}
	defer f.release()
	return f.returned, nil
}

// executeFunction runs EXEC of a function; false: it is not a function.
func (b *batch) executeFunction(st *tsql.Exec, list []given) (bool, error) {
	s, n := b.s, st.Procedure
	d := s.In.Load()
	if d == nil || n.Server != "" || n.Database != "" && !strings.EqualFold(n.Database, d.Title) || d.Serving() != nil {
		return false, nil
	}
	set, err := s.visible(d)
	if err != nil || !set.Has(storage.KindFunction, n.Object) {
		return false, err
	}
	if n.Database = ""; n.Schema == "" {
		n.Schema = "dbo"
	}
	if err := b.checkFunction(n, nil); err != nil {
		return true, err
	}
	return true, b.reading(d, func(r *storage.Reader) error {
		s.at.rd = r
		p, err := s.at.function(n.Object)
		if err != nil {
			return err
		}
		return b.takeValue(st, p, list)
	})
}

// takeValue runs a function with the arguments of an EXEC and sets the variable of the EXEC.
func (b *batch) takeValue(st *tsql.Exec, p *procedure, list []given) error {
	a, err := p.bindArguments(list)
	if err != nil {
		return err
	}
	v, err := b.s.invoke(p, a)
	if err != nil || st.Return == "" {
		return err
	}
	return b.set(st.Return, v)
}

// callFunction runs EXEC of a function in a procedure; false: it is not a function.
func (f *frame) callFunction(st *tsql.Exec) (bool, error) {
	p, err := f.s.at.function(st.Procedure.Object)
	if p == nil || err != nil {
		return false, err
	}
	list, err := f.b.execArguments(st)
	if err != nil {
		return true, err
	}
	return true, f.b.takeValue(st, p, list)
}
