package engine

import (
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// parameter is a procedure's parameter as declared.
type parameter struct {
	name    string // lower case, with its "@"
	written string // as the procedure spells it
	typ     tds.Type
	output  bool
	// key: trailing blanks of the text do not count, as in SQL Server's comparisons. (SQL Server would store
	// them in the row.)
	key bool
	// optional: a call may omit it; value is its default.
	optional bool
	value    sqlvalue.Argument
}

// given is an argument of a call.
type given struct {
	name      string // with its "@"; "" by position
	value     any
	from      string // the name of its type, for messages
	isDefault bool
	param     *tds.Param // the parameter of an RPC; nil: of a text
}

// bindArguments determines the value of each of the procedure's parameters.
func (p *procedure) bindArguments(list []given) (sqlvalue.Arguments, error) {
	a := make(sqlvalue.Arguments, len(p.params))
	have := make([]bool, len(p.params))
	for i, g := range list {
		at := i
		if g.name != "" {
			if at = p.parameter(g.name); at < 0 {
				return nil, p.refusal(8145, "%s is not a parameter for procedure %s.", g.name, p.name)
			}
		} else if i >= len(p.params) {
			return nil, p.refusal(8144, "Procedure or function %s has too many arguments specified.", p.name)
		}
		if have[at] {
			return nil, p.refusal(8143, "Parameter '%s' was supplied multiple times.", p.params[at].written)
		}
		if g.isDefault {
			continue
		}
		have[at] = true
		value := g.value
		if g.param != nil && !sqlvalue.ParameterKind(p.params[at].typ.Kind()) {
			value = storedParam(*g.param)
		}
		var err error
		if a[at], err = sqlvalue.Convert(value, g.from, p.params[at].typ); err != nil {
			return nil, p.withProcedure(err)
		}
		if p.params[at].key {
			a[at].S = storage.TrimBlanks(a[at].S)
		}
	}
	for i, q := range p.params {
		switch {
		case have[i]:
		case q.optional:
			a[i] = q.value
		default:
			return nil, p.refusal(201, "Procedure or function '%s' expects parameter '%s', which was not supplied.", p.name, q.written)
		}
	}
	return a, nil
}

// parameter returns the index of a parameter by name. The case does not matter.
func (p *procedure) parameter(name string) int {
	for i := range p.params {
		if p.params[i].name == name {
			return i
		}
	}
	for i := range p.params {
		if strings.EqualFold(p.params[i].name, name) {
			return i
		}
	}
	return -1
}

// refusal returns an error of a call of this procedure.
func (p *procedure) refusal(number int32, format string, args ...any) *tds.Error {
	return &tds.Error{Number: number, Class: 16, State: 4, Proc: p.name, Message: fmt.Sprintf(format, args...)}
}

// withProcedure adds the procedure's name to an error that occurred in it. It copies the error, which may be shared
// by all calls of one group.
func (p *procedure) withProcedure(err error) error {
	e, ok := err.(*tds.Error)
	if !ok || e.Proc != "" {
		return err
	}
	own := *e
	own.Proc = p.name
	return &own
}
