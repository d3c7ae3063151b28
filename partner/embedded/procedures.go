package embedded

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// procedure is one of the schema's: its text, taken apart.
type procedure struct {
	name   string // without schema
	params []parameter
	text   *tsql.Procedure
	// readsFirst: there are ways through it that write nothing. It runs beside the writer, and only the
	// call that would write is run again in it.
	readsFirst bool
	long       bool   // see takesLong
	index      int    // in the catalogue, for the counters
	object     string // its key among the objects
	// needs are the keys of the tables without which it fails, those of the procedures that it calls included; extended says
	// that the sessions need the extension's columns too.
	needs    []string
	extended bool

	frames sync.Pool // of *frame
}

// result is what a call answers, collected while it runs and sent once its
// changes are durable.
type result struct {
	status  int32
	outputs []any // values of the parameters, by position
	steps   []step
}

// step is one statement's part of the answer: a result set, a count, or an error
// after which the procedure went on.
type step struct {
	columns []tds.Column
	rows    [][]any
	count   int64 // rows changed; noCount under SET NOCOUNT ON
	err     *tds.Error
}

const noCount = -1

// catalogue has all procedures of the schema.
type catalogue struct {
	list   []*procedure          // in the order of the schema
	byName map[string]*procedure // as they are usually written, and in lower case
}

// loadCatalogue parses the schema's procedures, once.
var loadCatalogue = sync.OnceValues(func() (*catalogue, error) {
	texts, err := procedureTexts()
	if err != nil {
		return nil, err
	}
	columns, err := declaredColumns()
	if err != nil {
		return nil, err
	}
	c := &catalogue{byName: map[string]*procedure{}}
	for _, text := range texts {
		p, err := newProcedure(text, func(n tsql.Name) []tsql.Column { return columns[strings.ToLower(n.Table())] })
		if err != nil {
			return nil, err
		}
		p.index = len(c.list)
		c.list = append(c.list, p)
		c.byName[p.name] = p
		c.byName[strings.ToLower(p.name)] = p
	}
	for _, p := range c.list {
		c.findNeeds(p, p.text.Body, map[*procedure]bool{p: true})
		p.extended = slices.Contains(p.needs, objectKey(kindTable, epochTable))
	}
	return c, nil
})

// mustCatalogue is the catalogue of a pair that is open: [Open] has seen that it is one.
func mustCatalogue() *catalogue {
	c, err := loadCatalogue()
	if err != nil {
		panic(err)
	}
	return c
}

func newProcedure(text string, schema tsql.Schema) (*procedure, error) {
	t, err := tsql.ParseProcedure(text, schema)
	if err != nil {
		return nil, fmt.Errorf("line %d of %.60q: %w", lineOf(err), text, err)
	}
	p := &procedure{name: t.Name.Object, text: t, object: objectKey(kindProcedure, t.Name.Object), readsFirst: !alwaysWrites(t.Body), long: takesLong(t.Body)}
	for i, q := range t.Params {
		typ, ok := typeOf(q.Type)
		if !ok {
			return nil, message(2715, 16, "Column, parameter, or variable #%d: Cannot find data type %s.", i+1, q.Type.Name)
		}
		value, err := convert(q.Default, nameOfValue(q.Default), typ)
		if err != nil {
			return nil, err
		}
		p.params = append(p.params, parameter{name: q.Name, written: q.Written, typ: typ, output: q.Output, key: q.Name == "@id", optional: q.Optional, value: value})
	}
	return p, nil
}

// alwaysWrites tells whether there is a write, or a call, that no IF stands before.
func alwaysWrites(list []tsql.Statement) bool {
	for _, st := range list {
		switch st := st.(type) {
		case *tsql.Query:
			if st.Kind != tsql.Select {
				return true
			}
		case *tsql.Exec, *tsql.Definition, *tsql.CreateLocal:
			return true
		case *tsql.While:
			if alwaysWrites(st.Body) {
				return true
			}
		case *tsql.Try:
			if alwaysWrites(st.Body) {
				return true
			}
		}
	}
	return false
}

// findProcedure finds a procedure by its bare name.
func findProcedure(name string) *procedure {
	c := mustCatalogue()
	if p := c.byName[name]; p != nil {
		return p
	}
	return c.byName[strings.ToLower(name)]
}
