package tds

import (
	"errors"
	"fmt"
)

// skipHeaders skips ALL_HEADERS: total 4 | { length 4, type 2, data }…
func (d *decoder) skipHeaders() {
	total := int64(d.u32())
	if total < 4 || total-4 > int64(len(d.b)) {
		d.fail(errShort)
		return
	}
	rest := decoder{b: d.take(int(total - 4))}
	for len(rest.b) > 0 && rest.err == nil {
		length := int64(rest.u32())
		if length < 6 || length-4 > int64(len(rest.b)) {
			rest.fail(errShort)
			break
		}
		rest.take(int(length - 4))
	}
	if rest.err != nil {
		d.fail(rest.err)
	}
}

// batchText returns the text of a SQL batch.
func batchText(body []byte) (string, error) {
	d := decoder{b: body}
	d.skipHeaders()
	if d.err != nil {
		return "", d.err
	}
	return utf16String(d.b), nil
}

// Separators between the calls of one RPC message, in place of the length of a parameter's name. The last one
// says that the next call must not run; no tested client uses it.
const (
	rpcSeparator    = 0xFF
	rpcSeparatorOld = 0x80
	rpcNoExec       = 0xFE
)

// Status bits of a parameter.
const (
	paramOutput  = 1
	paramDefault = 2
)

// procByNumber is in place of the length of a procedure's name.
const procByNumber = 0xFFFF

// maxProcName is the length in characters of a procedure's name with three qualifiers.
const maxProcName = 1046

// parseRPC parses the calls of an RPC message after its ALL_HEADERS. An error that is an [*Error] concerns
// this message; any other error makes the connection unusable.
func parseRPC(d *decoder) ([]*Call, error) {
	d.skipHeaders()
	var calls []*Call
	for d.err == nil {
		c := &Call{}
		if n := int(d.u16()); n == procByNumber {
			c.ProcID = d.u16()
		} else if n > maxProcName {
			d.fail(errors.New("tds: procedure name too long"))
		} else {
			c.Name = d.name(n)
		}
		d.u16() // options
		separator, err := d.params(c)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
		if !separator || len(d.b) == 0 { // a separator may follow the last call too
			return calls, d.err
		}
	}
	return nil, d.err
}

// params reads a call's parameters up to the end of the message or the next separator.
func (d *decoder) params(c *Call) (separator bool, err error) {
	c.Params = make([]Param, 0, min(16, len(d.b)/8))
	for d.err == nil && len(d.b) > 0 {
		n := d.u8()
		switch n {
		case rpcSeparator, rpcSeparatorOld:
			return true, nil
		case rpcNoExec:
			return false, notSupported("An RPC batch with calls that must not run")
		}
		p := Param{Name: d.name(int(n))}
		status := d.u8()
		p.Output, p.Default = status&paramOutput != 0, status&paramDefault != 0
		t := d.typeInfo()
		p.Type = t.Type
		p.Value = d.value(t)
		if bad, ok := errors.AsType[badType](d.err); ok {
			return false, unknownType(bad.code, len(c.Params)+1, p.Name)
		}
		c.Params = append(c.Params, p)
	}
	return false, d.err
}

// unsupportedTypes are the known types whose values are not supported.
var unsupportedTypes = map[byte]string{0x62: "the type sql_variant", 0xF0: "a CLR type", 0xF3: "a table type (a table-valued parameter)"}

// unknownType returns SQL Server's error for an unknown type byte.
func unknownType(code byte, ordinal int, name string) *Error {
	if known, ok := unsupportedTypes[code]; ok {
		return notSupported(fmt.Sprintf("Parameter %d (%q) of %s", ordinal, name, known))
	}
	return &Error{Number: 8009, State: 2, Class: 16, Message: fmt.Sprintf(
		"The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Parameter %d (%q): Data type 0x%02X is unknown.",
		ordinal, name, code)}
}

// Requests to the transaction manager.
const (
	transactionBegin    = 5
	transactionCommit   = 7
	transactionRollback = 8
	transactionSave     = 9
)

// transactionRequest is a message of type 14.
type transactionRequest struct {
	kind      uint16
	isolation byte
	name      string
	ends      string // the transaction or savepoint that a commit or rollback ends
	begin     bool   // commit or rollback, then begin another transaction
}

// parseTransaction parses a transaction manager request. A transaction's name has its length in bytes before
// it, unlike all other names of a request, whose lengths are in characters. SqlClient and tedious send it
// that way.
//
//	begin             5 2 | isolation 1 | name
//	save              9 2 | name
//	commit, rollback  7 2, 8 2 | name | flags 1 | { isolation 1 | name }, if the flag "begin again" is set
//	name              length in bytes 1 | UTF-16LE
func parseTransaction(body []byte) (transactionRequest, error) {
	d := decoder{b: body}
	d.skipHeaders()
	r := transactionRequest{kind: d.u16()}
	switch r.kind {
	case transactionBegin:
		r.isolation = d.u8()
		r.name = d.transactionName()
	case transactionSave:
		r.name = d.transactionName()
	case transactionCommit, transactionRollback:
		r.ends = d.transactionName()
		if r.begin = d.u8()&1 != 0; r.begin {
			r.isolation = d.u8()
			r.name = d.transactionName()
		}
	}
	return r, d.err
}

// transactionName reads a name whose length is in bytes.
func (d *decoder) transactionName() string { return utf16String(d.take(int(d.u8()))) }
