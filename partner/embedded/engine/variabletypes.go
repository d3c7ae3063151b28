package engine

import (
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// variableTypes are the types of the variables that a text is run with and does not declare, with names in lower case.
// Text and binary types have no length: drivers send a different one with each value, and a parsed text is cached for
// all of them.
type variableTypes []tsql.Variable

// with adds a variable. It omits a variable of unknown type.
func (v variableTypes) with(name string, t tds.Type) variableTypes {
	spec := sqlvalue.SpecOf(t)
	switch t.Kind() {
	case tds.KindNull, tds.KindVariant:
		return v
	case tds.KindChar, tds.KindVarChar:
		spec = tsql.TypeSpec{Name: "varchar", Length: 8000}
	case tds.KindNChar, tds.KindNVarChar:
		spec = tsql.TypeSpec{Name: "nvarchar", Length: 4000}
	case tds.KindBinary, tds.KindVarBinary:
		spec = tsql.TypeSpec{Name: "varbinary", Length: 8000}
	}
	if t.Size() < 0 {
		spec.Length, spec.Max = 0, true
	}
	return append(v, tsql.Variable{Name: name, Type: spec})
}

// key returns a cache key for a text with these types.
func (v variableTypes) key(text string) string {
	if len(v) == 0 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 40*len(v))
	b.WriteString(text)
	var digits [20]byte
	for _, one := range v {
		b.WriteByte(0)
		b.WriteString(one.Name)
		b.WriteByte(' ')
		b.WriteString(one.Type.Name)
		for _, n := range [...]int{one.Type.Length, one.Type.Scale} {
			b.WriteByte(' ')
			b.Write(strconv.AppendInt(digits[:0], int64(n), 10))
		}
	}
	return b.String()
}

// byName returns the types as the parser needs them.
func (v variableTypes) byName() map[string]tsql.TypeSpec {
	all := make(map[string]tsql.TypeSpec, len(v))
	for _, one := range v {
		all[one.Name] = one.Type
	}
	return all
}
