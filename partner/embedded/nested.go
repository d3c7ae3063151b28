package embedded

import (
	"context"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// executeSQL is EXEC sp_executesql in a text: its parameters have the declared types, OUTPUT brings their values back, and it returns 0.
func (b *batch) executeSQL(ctx context.Context, st *tsql.Exec, list []given) error {
	if len(st.Args) > 0 && !b.isUnicode(st.Args[0]) {
		return message(214, 16, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
	}
	declared, left, err := b.declareGiven(list)
	if err != nil {
		return err
	}
	if err := b.nested(ctx, append(list, left...)); err != nil {
		return err
	}
	for i, arg := range st.Args {
		if !arg.Output || arg.Variable == "" || list[i].inner == nil {
			continue
		}
		if !declared[list[i].inner].Output {
			return message(8162, 16, `The formal parameter "%s" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.`,
				declared[list[i].inner].Name)
		}
		if err := b.set(arg.Variable, list[i].inner.value); err != nil {
			return err
		}
	}
	if st.Return != "" {
		return b.set(st.Return, int64(0))
	}
	return nil
}

// isUnicode reports whether an argument may be the text of sp_executesql, which varchar may not.
func (b *batch) isUnicode(arg tsql.Arg) bool {
	if v := b.vars[arg.Variable]; arg.Variable != "" && v != nil {
		return v.typ.Kind() != tds.KindVarChar && v.typ.Kind() != tds.KindChar
	}
	return arg.Value.Type.Name != "varchar" && arg.Value.Type.Name != "char"
}

// declareGiven makes the variables of the parameters that the second argument declares, with the values given for them; left are those
// that are left out and have a default.
func (b *batch) declareGiven(list []given) (all map[*variable]tsql.Param, left []given, err error) {
	if len(list) < 2 {
		return nil, nil, nil
	}
	text, _ := list[1].value.(string)
	params, err := tsql.ParseParameters(text)
	if err != nil {
		var e *tsql.Error
		if errors.As(err, &e) {
			err = fromTSQL(e)
		}
		return nil, nil, err
	}
	if len(list)-2 > len(params) {
		return nil, nil, message(8144, 16, "Procedure or function  has too many arguments specified.")
	}
	all = map[*variable]tsql.Param{}
	inner := &batch{s: b.s}
	for i, q := range params {
		if err := inner.declareOne(tsql.Variable{Name: q.Name, Type: q.Type}); err != nil {
			return nil, nil, err
		}
		v := inner.vars[q.Name]
		all[v] = q
		g := givenFor(list[2:], i, q.Name)
		if g == nil || g.isDefault {
			if !q.Optional {
				return nil, nil, message(8178, 16, "The parameterized query '%s' expects the parameter '%s', which was not supplied.", "("+text+")"+textOfGiven(list[0]), q.Name)
			}
			v.value = q.Default
			if g == nil {
				left = append(left, given{name: q.Name, inner: v})
			} else {
				g.inner = v
			}
			continue
		}
		if err := inner.set(q.Name, g.value); err != nil {
			return nil, nil, err
		}
		g.inner = v
	}
	return all, left, nil
}

// givenFor finds what is given for a parameter: by its name, or at its position.
func givenFor(list []given, at int, name string) *given {
	for i := range list {
		if strings.EqualFold(list[i].name, name) || list[i].name == "" && i == at {
			return &list[i]
		}
	}
	return nil
}

func textOfGiven(g given) string {
	text, _ := g.value.(string)
	return text
}

// asVariable is the variable that an argument is in a text that is called.
func (g given) asVariable() *variable {
	if g.inner != nil {
		return g.inner
	}
	return &variable{typ: typeOfValue(g.value), value: g.value}
}
