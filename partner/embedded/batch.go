package embedded

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// parsedTexts keeps the statements of texts that come again and again: those of
// monitors and of drivers' logins.
type parsedTexts struct {
	mu  sync.Mutex
	all map[string][]tsql.Statement
}

// Texts longer than maxKeptText are not kept, and no more than maxKeptTexts are.
const (
	maxKeptText  = 4096
	maxKeptTexts = 256
)

func (t *parsedTexts) parse(text string) ([]tsql.Statement, error) {
	t.mu.Lock()
	kept, ok := t.all[text]
	t.mu.Unlock()
	if ok {
		return kept, nil
	}
	list, err := tsql.Parse(text)
	if err != nil {
		var e *tsql.Error
		if errors.As(err, &e) {
			err = fromTSQL(e)
		}
		return nil, err
	}
	if len(text) <= maxKeptText {
		t.mu.Lock()
		if t.all == nil || len(t.all) >= maxKeptTexts {
			t.all = map[string][]tsql.Statement{}
		}
		t.all[text] = list
		t.mu.Unlock()
	}
	return list, nil
}

func fromTSQL(e *tsql.Error) *tds.Error {
	return &tds.Error{Number: e.Number, State: e.State, Class: e.Class, Message: e.Message, Line: int32(e.Line)}
}

// variable is a variable of a batch. Its value is as SQLite has it: nil, int64,
// float64, string or []byte.
type variable struct {
	typ   tds.Type
	value any
}

// batch is a text being run.
type batch struct {
	s    *session
	w    *tds.Response
	vars map[string]*variable // by name in lower case

	program *frame // the run of a procedure whose batch this is; nil: a text's
}

// runText runs the statements of a text, up to the first error.
func (b *batch) runText(ctx context.Context, text string) error {
	if taken, err := b.s.p.planted.take(text); taken {
		return err
	}
	list, err := b.s.p.texts.parse(text)
	if err != nil {
		return err
	}
	return b.runAll(ctx, list)
}

// branch runs IF.
func (b *batch) branch(ctx context.Context, st *tsql.If) error {
	v, err := b.evaluate(st.Condition)
	if err != nil {
		return err
	}
	if n, ok := integerOf(v, 0, 1); ok && n == 1 {
		return b.runAll(ctx, st.Then)
	}
	return b.runAll(ctx, st.Else)
}

func (b *batch) runAll(ctx context.Context, list []tsql.Statement) error {
	for _, st := range list {
		if err := b.run(ctx, st); err != nil {
			var e *tds.Error
			if errors.As(err, &e) && e.Line == 0 {
				e.Line = int32(st.Line())
			}
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (b *batch) run(ctx context.Context, st tsql.Statement) error {
	switch st := st.(type) {
	case *tsql.Query:
		return b.query(ctx, st)
	case *tsql.Exec:
		return b.exec(ctx, st)
	case *tsql.SetOption:
		return b.setOption(st)
	case *tsql.Use:
		return b.use(st.Database)
	case *tsql.Declare:
		return b.declare(st)
	case *tsql.Assign:
		return b.assign(st)
	case *tsql.Transaction:
		return b.transaction(st)
	case *tsql.AlterDatabase:
		return b.alterDatabase(ctx, st)
	case *tsql.Definition:
		return b.define(ctx, st)
	case *tsql.Grant:
		return b.grant(ctx, st)
	case *tsql.If:
		return b.branch(ctx, st)
	case *tsql.ServerObject:
		return b.serverObject(ctx, st)
	case *tsql.Backup:
		return b.backup(ctx, st)
	case *tsql.Restore:
		return b.restore(ctx, st)
	case *tsql.Print:
		v, err := b.evaluate(st.Value)
		if err == nil {
			text, _ := textOf(v)
			b.w.Info(&tds.Error{Class: 0, State: 1, Message: text})
		}
		return err
	}
	return notSupported("This statement")
}

// setOption is SET of an option. Those that are not here have nothing to act on.
func (b *batch) setOption(st *tsql.SetOption) error {
	switch st.Option {
	case "NOCOUNT":
		b.s.noCount = strings.EqualFold(st.Value, "ON")
	case "LOCK_TIMEOUT":
		ms, err := strconv.Atoi(st.Value)
		if err != nil {
			return notSupported("SET LOCK_TIMEOUT %s", st.Value)
		}
		b.s.lockTimeout = time.Duration(ms) * time.Millisecond
	}
	return nil
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
		if b.vars[v.Name] != nil {
			return message(134, 15, "The variable name '%s' has already been declared. Variable names must be unique within a query batch or stored procedure.", v.Name)
		}
		if err := b.declareOne(v); err != nil {
			return err
		}
		if err := b.initialize(v); err != nil {
			return err
		}
	}
	return nil
}

// declareOne makes a variable, which is NULL.
func (b *batch) declareOne(v tsql.Variable) error {
	typ, ok := typeOf(v.Type)
	if !ok {
		return message(2715, 16, "Column, parameter, or variable '%s': Cannot find data type %s.", v.Name, v.Type.Name)
	}
	if b.vars == nil {
		b.vars = map[string]*variable{}
	}
	b.vars[v.Name] = &variable{typ: typ}
	return nil
}

// initialize gives a variable the value that its DECLARE has, if it has one.
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

// lookup finds a declared variable.
func (b *batch) lookup(name string) (*variable, error) {
	v := b.vars[name]
	if v == nil {
		return nil, message(137, 15, `Must declare the scalar variable "%s".`, name)
	}
	return v, nil
}

// valueOf is a variable's value.
func (b *batch) valueOf(name string) (any, error) {
	v, err := b.lookup(name)
	if err != nil {
		return nil, err
	}
	return v.value, nil
}

// set gives a variable a value, converted to its type.
func (b *batch) set(name string, value any) error {
	v, err := b.lookup(name)
	if err != nil {
		return err
	}
	if !parameterKind(v.typ.Kind()) {
		v.value = value
		return nil
	}
	a, err := convert(value, nameOfValue(value), v.typ)
	if err != nil {
		return err
	}
	v.value = a.stored(v.typ)
	return nil
}

// parameterKind tells whether [convert] knows the type; a variable of another one
// keeps what it is given.
func parameterKind(k tds.Kind) bool {
	switch k {
	case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar, tds.KindInt, tds.KindBigInt, tds.KindBit, tds.KindDateTime,
		tds.KindDateTime2, tds.KindBinary, tds.KindVarBinary, tds.KindImage:
		return true
	}
	return false
}

func nameOfValue(v any) string {
	switch v.(type) {
	case int64:
		return "int"
	case float64:
		return "float"
	case []byte:
		return "varbinary"
	}
	return "nvarchar"
}

// stored is a value of a procedure or a client as SQLite has it.
func stored(v any) any {
	switch v := v.(type) {
	case bool:
		return boolInt(v)
	case int32:
		return int64(v)
	case time.Time:
		if v.Nanosecond()%1_000_000 == 0 {
			return datetimeOf(v).text()
		}
		return datetime2Of(v).text()
	}
	return v
}

func (b *batch) transaction(st *tsql.Transaction) error {
	s := b.s
	if st.IfOpen && s.open == 0 {
		return nil
	}
	switch st.Action {
	case tsql.BeginTransaction:
		s.begin()
		if s.open == 1 {
			b.w.TransactionBegan(s.id)
		}
		return nil
	case tsql.CommitTransaction:
		return s.commit(b.w)
	case tsql.RollbackTransaction:
		if s.open == 0 {
			return message(3903, 16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
		}
		s.rollback(b.w)
		return nil
	}
	return notSupported("Statement 'SAVE TRANSACTION'")
}

// exec runs EXEC procedure.
func (b *batch) exec(ctx context.Context, st *tsql.Exec) error {
	list := make([]given, len(st.Args))
	for i, arg := range st.Args {
		list[i] = given{name: arg.Name, isDefault: arg.Default}
		if arg.Default {
			continue
		}
		v, err := b.evaluate(arg.Value)
		if err != nil {
			return err
		}
		list[i].value, list[i].from = v, nameOfValue(v)
	}
	n := st.Procedure
	switch systemProcedures[strings.ToLower(n.Object)] {
	case 0:
	case tds.ProcExecuteSQL:
		return b.nested(ctx, list)
	default:
		return notSupported("EXECUTE %s in a text", n.Object)
	}
	p, d, err := b.s.resolve(procedureName{n.Server, n.Database, n.Schema, n.Object}, n.String())
	if err != nil {
		return err
	}
	a, r, err := b.s.execute(ctx, p, d, list)
	if err != nil {
		return err
	}
	if err := b.s.send(b.w, p, r); err != nil {
		return err
	}
	b.w.ReturnStatus(r.status)
	return b.take(st, p, a, r)
}

// take puts a procedure's outputs and its status into the variables that ask for them.
func (b *batch) take(st *tsql.Exec, p *procedure, a arguments, r *result) error {
	for i, arg := range st.Args {
		if !arg.Output || arg.Variable == "" {
			continue
		}
		at := i
		if arg.Name != "" {
			at = p.parameter(arg.Name)
		}
		if !p.params[at].output {
			return message(8162, 16, `The formal parameter "%s" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.`, p.params[at].name)
		}
		if err := b.set(arg.Variable, stored(r.output(at, p, a))); err != nil {
			return err
		}
	}
	if st.Return != "" {
		return b.set(st.Return, int64(r.status))
	}
	return nil
}

// nested is EXEC sp_executesql in a text: the text within sees only its own parameters.
func (b *batch) nested(ctx context.Context, list []given) error {
	if len(list) == 0 {
		return message(201, 16, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.")
	}
	text, _ := list[0].value.(string)
	inner := &batch{s: b.s, w: b.w, vars: map[string]*variable{}}
	if len(list) > 1 {
		declared, _ := list[1].value.(string)
		names := declaredNames.FindAllString(declared, -1)
		for i, g := range list[2:] {
			name := strings.ToLower(g.name)
			if name == "" && i < len(names) {
				name = strings.ToLower(names[i])
			}
			inner.vars[name] = &variable{typ: typeOfValue(g.value), value: g.value}
		}
	}
	return inner.runText(ctx, text)
}

// declaredNames finds the names in "@a int, @b nvarchar(10) OUTPUT".
var declaredNames = regexp.MustCompile(`@[\pL\pN_@$#]+`)
