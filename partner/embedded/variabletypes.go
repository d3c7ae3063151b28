package embedded

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// variableTypes are the types of the variables that a text is run with and does not declare, by name in lower case. Of text and bytes
// the length is left out: drivers give each value's own, and a text that is parsed is kept for all of them.
type variableTypes map[string]tsql.TypeSpec

// with adds a variable. A type that nobody knows is left out.
func (v variableTypes) with(name string, t tds.Type) variableTypes {
	spec := specOf(t)
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
	if v == nil {
		v = variableTypes{}
	}
	v[name] = spec
	return v
}

// key is a text with the types.
func (v variableTypes) key(text string) string {
	if len(v) == 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		t := v[name]
		fmt.Fprintf(&b, "\x00%s %s %d %d %t", name, t.Name, t.Length, t.Scale, t.Max)
	}
	return b.String()
}
