package engine

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// parsedTexts caches the parsed statements of texts that recur: those of monitors and of drivers' logins.
type parsedTexts struct {
	mu  sync.Mutex
	all map[parsedKey][]tsql.Statement
}

// parsedKey is a text and the tables for which it was parsed.
type parsedKey struct {
	text   string
	tables *storage.Snapshot // of the session's database; nil: a system database
}

// Texts longer than maxKeptText are not cached, and at most maxKeptTexts are.
const (
	maxKeptText  = 4096
	maxKeptTexts = 256
)

func (t *parsedTexts) parse(text string, s *session, types variableTypes) ([]tsql.Statement, error) {
	if quoted := s.has(optionQuoted); !quoted || len(s.locals) > 0 || s.lease != nil {
		return parsed(tsql.ParseQuoted(text, s.schema(), quoted, types.byName())) // too rare to cache
	}
	key := parsedKey{text: types.key(text)}
	if d := s.In.Load(); d != nil {
		key.tables = d.Store.Objects.Load()
	}
	t.mu.Lock()
	kept, ok := t.all[key]
	t.mu.Unlock()
	if ok {
		return kept, nil
	}
	list, err := parsed(tsql.ParseTyped(text, s.schema(), types.byName()))
	if err != nil {
		return nil, err
	}
	if len(text) <= maxKeptText {
		t.mu.Lock()
		if t.all == nil || len(t.all) >= maxKeptTexts {
			t.all = map[parsedKey][]tsql.Statement{}
		}
		t.all[key] = list
		t.mu.Unlock()
	}
	return list, nil
}

func parsed(list []tsql.Statement, err error) ([]tsql.Statement, error) {
	return list, sqlerror.AsWireError(err)
}

// variable is a variable of a batch. Its value has the type that SQLite uses: nil, int64, float64, string
// or []byte.
type variable struct {
	typ   tds.Type
	value any
	from  *tsql.Declare // nil: a parameter
}

// batch is a running text.
type batch struct {
	s    *session
	w    *tds.Response
	vars map[string]*variable // by name in lower case
	text string

	tables localTables // table variables

	identity any // SCOPE_IDENTITY(): an int64, or nil

	types variableTypes // types of the variables that come with the text

	frame *frame // the run of the procedure that the batch belongs to; nil: the batch of a text

	depth  int          // nesting of sp_executesql
	below  *tds.Error   // the last error of a nested text; a TRY block of this batch catches it, whatever its number
	failed int32        // the last error after which the text continued
	tries  int          // number of TRY blocks around the statement, including those around the text
	caught []*tds.Error // errors of the enclosing CATCH blocks, the innermost last
}

func (b *batch) use(database string) error {
	from := b.s.database
	if err := b.s.use(database); err != nil {
		return err
	}
	b.w.DatabaseChanged(from, b.s.database)
	return nil
}

func (b *batch) declare(st *tsql.Declare) error {
	for _, v := range st.Vars {
		if known := b.vars[v.Name]; known != nil && known.from == st { // in a loop the variable is declared once
			if err := b.initialize(v); err != nil {
				return err
			}
			continue
		} else if known != nil {
			return sqlerror.New(134, 15, "The variable name '%s' has already been declared. Variable names must be unique within a query batch or stored procedure.", v.Name)
		}
		if err := b.declareOne(v); err != nil {
			return err
		}
		b.vars[v.Name].from = st
		if err := b.initialize(v); err != nil {
			return err
		}
	}
	return nil
}

// declareOne declares a variable, which is NULL.
func (b *batch) declareOne(v tsql.Variable) error {
	typ, ok := sqlvalue.TypeOf(v.Type)
	if !ok {
		return sqlerror.New(2715, 16, "Column, parameter, or variable '%s': Cannot find data type %s.", v.Name, v.Type.Name)
	}
	if b.vars == nil {
		b.vars = map[string]*variable{}
	}
	b.vars[v.Name] = &variable{typ: typ}
	return nil
}

// initialize sets a variable to the initial value in its DECLARE, if there is one.
func (b *batch) initialize(v tsql.Variable) error {
	if v.Init == nil {
		return nil
	}
	value, err := b.evaluate(*v.Init)
	if err != nil {
		return err
	}
	return b.set(v.Name, value)
}

func (b *batch) assign(st *tsql.Assign) error {
	value, err := b.evaluate(st.Value)
	if err != nil {
		return err
	}
	return b.set(st.Variable, value)
}

// lookup returns a declared variable.
func (b *batch) lookup(name string) (*variable, error) {
	v := b.vars[name]
	if v == nil {
		return nil, sqlerror.New(137, 15, `Must declare the scalar variable "%s".`, name)
	}
	return v, nil
}

// valueOf returns a variable's value.
func (b *batch) valueOf(name string) (any, error) {
	v, err := b.lookup(name)
	if err != nil {
		return nil, err
	}
	return v.value, nil
}

// set sets a variable to a value, converted to the variable's type.
func (b *batch) set(name string, value any) error {
	v, err := b.lookup(name)
	if err != nil {
		return err
	}
	if b.frame != nil && isStored(value, v.typ) {
		v.value = value
		return nil
	}
	if b.frame != nil && sqlvalue.ParameterKind(v.typ.Kind()) {
		if a, err := sqlvalue.Convert(value, sqlvalue.NameOfValue(value), v.typ); err == nil {
			v.value = a.Stored(v.typ)
			return nil
		}
	}
	v.value, err = tsql.ToVariable(value, "", sqlvalue.SpecOf(v.typ))
	return sqlerror.AsWireError(err)
}

// isStored reports whether a value already has the stored form of the type, so that [sqlvalue.Convert]
// would change nothing.
func isStored(value any, t tds.Type) bool {
	switch v := value.(type) {
	case nil:
		return true
	case int64:
		switch t.Kind() {
		case tds.KindInt:
			return v == int64(int32(v))
		case tds.KindBigInt:
			return true
		case tds.KindBit:
			return v == v&1
		}
	case string:
		switch t.Kind() {
		case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar:
			return t.Size() <= 0 || len(v) <= t.Size()
		case tds.KindDateTime:
			d, ok := sqlvalue.ParseDatetime(v)
			return ok && len(v) == sqlvalue.TextLength && d.IsText(v)
		case tds.KindDateTime2:
			d, ok := sqlvalue.ParseDatetime2(v)
			return ok && len(v) == sqlvalue.Text2Length && d.IsText(v)
		}
	case []byte:
		switch t.Kind() {
		case tds.KindBinary:
			return len(v) == t.Size()
		case tds.KindVarBinary, tds.KindImage:
			return v != nil && (t.Size() <= 0 || len(v) <= t.Size())
		}
	}
	return false
}

// exec runs EXEC of a procedure.
func (b *batch) exec(ctx context.Context, st *tsql.Exec) error {
	list, err := b.execArguments(st)
	if err != nil {
		return err
	}
	n := st.Procedure
	if known := catalogueProcedureOf(procedureName{n.Server, n.Database, n.Schema, n.Object}); known != nil {
		return b.catalogue(ctx, st, known, list)
	}
	switch systemProcedures[strings.ToLower(n.Object)] {
	case 0:
	case tds.ProcExecuteSQL:
		return b.nested(ctx, st, list)
	default:
		return sqlerror.NotSupported("EXECUTE %s in a text", n.Object)
	}
	if done, err := b.executeFunction(st, list); done || err != nil {
		return err
	}
	p, d, err := b.s.resolve(procedureName{n.Server, n.Database, n.Schema, n.Object}, n.String())
	if err != nil {
		return err
	}
	b.s.tries = b.tries
	r, err := b.s.execute(ctx, p, d, list)
	b.s.tries = 0
	b.s.sendTransactionEnd(b.w)
	b.w.InProcedure(true)
	err = errors.Join(b.s.send(b.w, p, r), err)
	b.w.InProcedure(false)
	if err != nil {
		return err
	}
	b.w.ReturnStatus(r.status)
	return b.takeOutputs(st, p, r)
}

// execArguments returns the arguments of EXEC.
func (b *batch) execArguments(st *tsql.Exec) ([]given, error) {
	list := make([]given, len(st.Args))
	for i, arg := range st.Args {
		list[i] = given{name: arg.Name, isDefault: arg.Default}
		if arg.Default {
			continue
		}
		v, err := b.evaluate(arg.Value)
		if err != nil {
			return nil, err
		}
		list[i].value, list[i].from = v, sqlvalue.NameOfValue(v)
	}
	return list, nil
}

// takeOutputs stores a procedure's output parameters and its status in the variables of the EXEC.
func (b *batch) takeOutputs(st *tsql.Exec, p *procedure, r *result) error {
	for i, arg := range st.Args {
		if !arg.Output || arg.Variable == "" {
			continue
		}
		at := i
		if arg.Name != "" {
			at = p.parameter(arg.Name)
		}
		if !p.params[at].output {
			return sqlerror.New(8162, 16, `The formal parameter "%s" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.`, p.params[at].written)
		}
		if err := b.set(arg.Variable, sqlvalue.Stored(r.outputs[at])); err != nil {
			return err
		}
	}
	if st.Return != "" {
		return b.set(st.Return, int64(r.status))
	}
	return nil
}

// declaredNames matches the names in "@a int, @b nvarchar(10) OUTPUT".
var declaredNames = regexp.MustCompile(`@[\pL\pN_@$#]+`)
