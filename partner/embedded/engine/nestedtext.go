package engine

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// nested runs EXEC sp_executesql in a text. The nested text sees only its own parameters. Its status is the
// number of the last error after which it continued, otherwise 0.
func (b *batch) nested(ctx context.Context, st *tsql.Exec, list []given) error {
	if len(list) == 0 {
		return sqlerror.New(201, 16, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.")
	}
	if len(st.Args) > 0 && !b.isUnicode(st.Args[0]) {
		return sqlerror.New(214, 16, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
	}
	if b.depth == maxNesting {
		return sqlerror.New(217, 16, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", maxNesting)
	}
	text, _ := list[0].value.(string)
	inner := &batch{s: b.s, w: b.w, vars: map[string]*variable{}, depth: b.depth + 1, tries: b.tries, caught: b.caught}
	defer b.s.leaveTo(b.s.scope())
	defer b.s.dropLocals(b.s.locals.names())
	var names []string // names of the given parameters, in the order of list
	if len(list) > 1 {
		declared, _ := list[1].value.(string)
		var err error
		if names, err = inner.parameters(declared, list[2:]); err != nil {
			return err
		}
	}
	b.w.InProcedure(true)
	err := inner.runText(ctx, text)
	b.w.InProcedure(b.depth > 0)
	if err != nil {
		b.below, _ = errors.AsType[*tds.Error](err)
		return err
	}
	b.w.ReturnStatus(inner.failed)
	for i, name := range names {
		if arg := st.Args[i+2]; arg.Output && arg.Variable != "" {
			if err := b.set(arg.Variable, inner.vars[name].value); err != nil {
				return err
			}
		}
	}
	if st.Return != "" {
		return b.set(st.Return, int64(inner.failed))
	}
	return nil
}

// isUnicode reports whether an argument may be the text of sp_executesql; varchar may not.
func (b *batch) isUnicode(arg tsql.Arg) bool {
	if v := b.vars[arg.Variable]; arg.Variable != "" && v != nil {
		return v.typ.Kind() != tds.KindVarChar && v.typ.Kind() != tds.KindChar
	}
	return arg.Value.Type.Name != "varchar" && arg.Value.Type.Name != "char"
}

// parameters declares the parameters of sp_executesql, and returns their names in the order of list.
func (b *batch) parameters(declared string, list []given) ([]string, error) {
	types, err := declaredParameters(declared)
	if err != nil {
		return nil, err
	}
	for _, v := range types {
		if err := b.declareOne(v); err != nil {
			return nil, err
		}
		b.types = b.types.with(v.Name, b.vars[v.Name].typ)
	}
	names := make([]string, len(list))
	for i, g := range list {
		name := strings.ToLower(g.name)
		switch {
		case name == "" && i >= len(types):
			return nil, sqlerror.New(8144, 16, "Procedure or function  has too many arguments specified.")
		case name == "":
			name = types[i].Name
		case b.vars[name] == nil:
			return nil, sqlerror.New(8145, 16, "%s is not a parameter for procedure .", g.name)
		}
		names[i] = name
		if err := b.set(name, g.value); err != nil {
			return nil, err
		}
	}
	if len(list) < len(types) {
		return nil, sqlerror.New(8178, 16, "The parameterized query '(%s)' expects the parameter '%s', which was not supplied.", declared, types[len(list)].Name)
	}
	return names, nil
}

// directions match the keywords after a parameter that a variable declaration does not have.
var directions = regexp.MustCompile(`(?i)\s+(OUTPUT|OUT)\s*(,|$)`)

// declaredParameters parses "@a int, @b nvarchar(10) OUTPUT".
func declaredParameters(declared string) ([]tsql.Variable, error) {
	if strings.TrimSpace(declared) == "" {
		return nil, nil
	}
	list, err := parsed(tsql.Parse("DECLARE " + directions.ReplaceAllString(declared, "$2")))
	if err != nil {
		return nil, err
	}
	if d, ok := list[0].(*tsql.Declare); ok && len(list) == 1 {
		return d.Vars, nil
	}
	return nil, sqlerror.New(102, 15, "Incorrect syntax near '%s'.", declared)
}
