package engine

import (
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// procedure is a compiled procedure, function or trigger.
type procedure struct {
	name   string // without schema
	params []parameter
	text   *tsql.Procedure
	// function is the head of a scalar function; nil: it is not a function.
	function *tsql.Function
	trigger  *tsql.Trigger // the head of a trigger; nil: it is not a trigger
	// readsFirst: some paths through the procedure write nothing. The call runs in parallel with the writer, and only a
	// call that needs to write runs again in a turn to write.
	readsFirst bool
	long       bool      // see isLong
	frames     sync.Pool // of *frame
}

// result is the result of a call, collected while it runs and sent once its changes are durable.
type result struct {
	status  int32
	outputs []any // values of the output parameters, by position
	steps   []step
	first   [1]step // space for most results
}

func newResult() *result {
	r := &result{}
	r.steps = r.first[:0]
	return r
}

// step is one statement's part of the result: a result set, a count, or an error after which the procedure continued.
type step struct {
	columns []tds.Column
	rows    [][]any
	count   int64 // rows changed; noCount under SET NOCOUNT ON
	err     *tds.Error
}

const noCount = -1

// compiledProcedures caches compiled procedures by their text and the signature of the tables: the same text occurs in
// several databases, and in each pair of a test.
var compiledProcedures = storage.CacheByText[*procedure]{Most: 1024}

// compiledProcedure returns the compiled procedure of a text, and compiles it if necessary.
func compiledProcedure(text, signature string, schema tsql.Schema) (*procedure, error) {
	p, err := compiledProcedures.Find(text+"\x00"+signature, func() (*procedure, error) { return newProcedure(text, schema) })
	return p, sqlerror.AsWireError(err)
}

func newProcedure(text string, schema tsql.Schema) (*procedure, error) {
	t, err := tsql.ParseProcedure(text, schema)
	if err != nil {
		return nil, err
	}
	p := &procedure{name: t.Name.Object, text: t, readsFirst: !alwaysWrites(t.Body), long: isLong(t.Body)}
	return p, p.addParameters(t.Params)
}

// addParameters adds the parameters of a procedure or a function.
func (p *procedure) addParameters(list []tsql.Param) error {
	for i, q := range list {
		typ, ok := sqlvalue.TypeOf(q.Type)
		if !ok {
			return sqlerror.New(2715, 16, "Column, parameter, or variable #%d: Cannot find data type %s.", i+1, q.Type.Name)
		}
		value, err := sqlvalue.Convert(q.Default, sqlvalue.NameOfValue(q.Default), typ)
		if err != nil {
			return err
		}
		p.params = append(p.params, parameter{name: q.Name, written: q.Written, typ: typ, output: q.Output, key: q.Name == "@id", optional: q.Optional, value: value})
	}
	return nil
}

// alwaysWrites reports whether the procedure has a write, or a call, that is not within an IF.
func alwaysWrites(list []tsql.Statement) bool {
	for _, st := range list {
		switch st := st.(type) {
		case *tsql.Query:
			if st.Kind != tsql.Select {
				return true
			}
		case *tsql.Exec, *tsql.Definition, *tsql.CreateLocal, *tsql.Merge:
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
