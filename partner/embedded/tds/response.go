package tds

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// sendAt is the number of collected bytes above which full packets are sent.
const sendAt = 16 << 10

// maxInfoClass is the highest severity that is not an error.
const maxInfoClass = 10

// Response receives the response that a [Session] writes to its running request. It belongs to the goroutine of the
// call and is not valid after it. The package writes the final token: the response to a request for which the session
// writes nothing is "done".
//
// Written tokens are buffered in packets and sent as those fill, at the latest when the call returns. After an
// attention everything further is dropped.
type Response struct {
	c   *conn
	ctx context.Context
	out *packetWriter
	rpc bool

	inProcedure bool  // the tokens are of a procedure that a text runs
	textSize    int64 // limit in bytes of a long value; 0: no limit

	cols []Column // of the open result set; nil: none is open
	rows int64    // number of rows sent in it
	// last is the offset of the last token in out.tokens, if it is a DONE that may become the final one; otherwise 0.
	last int

	status    int32
	hasStatus bool
	values    []byte // RETURNVALUE tokens, which follow the return status
	ordinal   uint16
	err       error // of a ReturnValue: the call fails

	failed func(e *Error) // called with errors that do not end the request; may be nil
}

// Discarding returns a response to a request without a client: it is discarded. failed is called with the errors that
// do not end the request.
func Discarding(ctx context.Context, failed func(e *Error)) *Response {
	w := &Response{c: &conn{}, out: newPacketWriter(discardConn{}, 0), failed: failed}
	w.start(ctx, false)
	return w
}

// discardConn discards all writes.
type discardConn struct{ net.Conn }

// SetWriteDeadline implements [net.Conn].
func (discardConn) SetWriteDeadline(time.Time) error { return nil }

// Write implements [net.Conn].
func (discardConn) Write(b []byte) (int, error) { return len(b), nil }

// start prepares the response to a request or to one call of an RPC.
func (w *Response) start(ctx context.Context, rpc bool) {
	w.ctx, w.rpc = ctx, rpc
	w.inProcedure, w.textSize = false, 0
	w.cols, w.last = nil, 0
	if cap(w.values) > keepBuffer {
		w.values = nil
	}
	w.hasStatus, w.values, w.ordinal, w.err = false, w.values[:0], 0, nil
}

// canSend prepares for another token, and reports whether the client can still receive it.
func (w *Response) canSend() bool {
	if w.ctx.Err() != nil || w.out.err != nil {
		return false
	}
	if len(w.out.tokens) >= sendAt {
		w.out.sendFull()
	}
	w.last = 0
	return true
}

// Columns starts a result set; an open one is ended first. No columns starts nothing.
func (w *Response) Columns(cols ...Column) {
	w.endRows()
	if len(cols) == 0 || !w.canSend() {
		return
	}
	w.cols, w.rows = cols, 0
	w.out.tokens = appendColumns(w.out.tokens, cols)
}

// Row adds a row to the result set that Columns started. Each value is nil, a bool, an integer, a float64 or float32, a
// string, a []byte (nil is NULL) or a time.Time, as the column's type requires. A wrong number of values is an error,
// and so is a value that the column's type cannot hold. Then nothing of the row is sent; the error of a value names its
// column. Row also fails after the client has disconnected or cancelled; a session should then stop. Row does not keep
// the values.
func (w *Response) Row(values ...any) error {
	if !w.canSend() {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		return fmt.Errorf("tds: send a row: %w", w.out.err)
	}
	if len(values) != len(w.cols) {
		return fmt.Errorf("tds: row of %d values for %d columns", len(values), len(w.cols))
	}
	b := append(w.out.tokens, tokenRow)
	for i, v := range values {
		if w.textSize > 0 {
			v = cutLong(w.cols[i].Type, v, w.textSize)
		}
		var err error
		if b, err = appendValue(b, w.cols[i].Type, v, true); err != nil {
			return fmt.Errorf("tds: column %q (%v): %w", w.cols[i].Name, w.cols[i].Type, err)
		}
	}
	w.out.tokens = b
	w.rows++
	return nil
}

// Done ends a result set of that many rows, or sends how many rows a statement changed. A negative number means a
// statement without a count (SET NOCOUNT ON).
func (w *Response) Done(rows int64) { w.DoneCommand(CommandNone, rows) }

// DoneCommand is Done with the command of the statement: drivers take a count as the number of changed rows only for
// some commands. The end of an open result set always has [CommandSelect].
//
// In a text each statement ends with it, except DECLARE, SET @variable and control of flow, even without a count. In a
// procedure a statement without a count and without rows sends nothing, as under SET NOCOUNT ON.
func (w *Response) DoneCommand(c Command, rows int64) {
	status := uint16(doneMore)
	switch {
	case w.cols != nil:
		c = CommandSelect
		w.cols = nil
	case rows < 0 && w.statementToken() == tokenDoneInProc:
		return
	}
	if rows >= 0 {
		status |= doneCount
	}
	w.done(w.statementToken(), status, uint16(c), uint64(max(rows, 0)))
}

// InProcedure sets whether the following tokens are of a procedure that a text runs by EXEC, whose statements end with
// other tokens. [Response.ReturnStatus] ends such a procedure.
func (w *Response) InProcedure(yes bool) { w.inProcedure = yes }

// TextSize limits the bytes of a value of a long type in the rows of this response (SET TEXTSIZE); 0: no limit.
func (w *Response) TextSize(n int64) { w.textSize = n }

// done appends a DONE of any kind that is followed by more tokens, unless it becomes the last one.
func (w *Response) done(token byte, status, command uint16, count uint64) {
	if w.canSend() {
		w.last = len(w.out.tokens)
		w.out.tokens = appendDone(w.out.tokens, token, status, command, count, w.c.version)
	}
}

// endRows ends an open result set that the session has not ended.
func (w *Response) endRows() {
	if w.cols != nil {
		w.Done(w.rows)
	}
}

// Info sends a message of class ≤ 10 (a higher class is sent as 10).
func (w *Response) Info(e *Error) {
	m := *e
	m.Class = min(m.Class, maxInfoClass)
	w.message(tokenInfo, &m)
}

// Error sends an error that does not end the request, for example of a failed statement in a batch that continues. A
// session returns an error that ends the request.
func (w *Response) Error(e *Error) {
	w.cols = nil // the DONE below also ends an open result set
	if w.failed != nil {
		w.failed(e)
	}
	w.message(tokenError, e)
	w.done(w.statementToken(), doneMore|doneError, 0, 0)
}

func (w *Response) statementToken() byte {
	if w.rpc || w.inProcedure {
		return tokenDoneInProc
	}
	return tokenDone
}

func (w *Response) message(token byte, e *Error) {
	if w.canSend() {
		w.out.tokens = appendMessage(w.out.tokens, token, e, w.c.serverName, w.c.version)
	}
}

// ReturnStatus sets a procedure's return status. In a Call the last one set is sent after the result sets, and 0 if
// none was set and the call succeeded. In a Batch it ends one EXEC.
func (w *Response) ReturnStatus(v int32) {
	w.status, w.hasStatus = v, true
	if w.rpc {
		return
	}
	w.hasStatus = false
	w.endRows()
	w.returnStatus(v)
	w.done(tokenDoneProc, doneMore, uint16(CommandExecute), 0)
}

func (w *Response) returnStatus(v int32) {
	if w.canSend() {
		w.out.tokens = binary.LittleEndian.AppendUint32(append(w.out.tokens, tokenReturnStatus), uint32(v))
	}
}

// ReturnValue sets the value of an output parameter. name is the name in the declaration of the procedure, with "@". A
// value that t cannot hold fails the call. In a Batch it does nothing, because output parameters of an EXEC in a text
// stay on the server.
func (w *Response) ReturnValue(name string, t Type, v any) {
	if !w.rpc {
		return
	}
	b, err := appendReturnValue(w.values, w.ordinal, name, t, v)
	if err != nil {
		w.err = fmt.Errorf("output parameter %s (%v): %w", name, t, err)
		return
	}
	w.values = b
	w.ordinal++
}

// DatabaseChanged sends that the session has changed its database (ENVCHANGE 1 and INFO 5701).
func (w *Response) DatabaseChanged(from, to string) {
	if w.canSend() {
		w.out.tokens = appendDatabase(w.out.tokens, from, to, w.c.serverName, w.c.version)
	}
}

// TransactionBegan sends that a BEGIN TRANSACTION in a text began a transaction (ENVCHANGE 8). The id must not be 0.
func (w *Response) TransactionBegan(id uint64) {
	w.c.transaction = id
	if w.canSend() {
		w.out.tokens = appendTransaction(w.out.tokens, envBegin, id)
	}
}

// TransactionEnded sends that a text, or an error, committed the transaction or rolled it back (ENVCHANGE 9, 10).
// Without an open transaction it does nothing.
func (w *Response) TransactionEnded(committed bool) {
	id := w.c.transaction
	w.c.transaction = 0
	kind := byte(envRollback)
	if committed {
		kind = envCommit
	}
	if id != 0 && w.canSend() {
		w.out.tokens = appendTransaction(w.out.tokens, kind, id)
	}
}

// finish ends the response to a request, or to one call of an RPC. more means that another call of the same message
// follows.
func (w *Response) finish(err error, more bool) {
	if w.rpc {
		w.finishCall(err, more)
		return
	}
	w.finishBatch(err)
}

// finishBatch ends the response to any request except an RPC. The last counted statement's DONE becomes the final one,
// because drivers add up the counts of all DONEs.
func (w *Response) finishBatch(err error) {
	if err != nil {
		w.cols = nil // the DONE with the error bit ends it
		status := w.fail(err)
		w.out.tokens = appendDone(w.out.tokens, tokenDone, status, 0, 0, w.c.version)
		return
	}
	w.endRows()
	if w.last != 0 {
		w.out.tokens[w.last+1] &^= doneMore
		return
	}
	w.out.tokens = appendDone(w.out.tokens, tokenDone, 0, 0, 0, w.c.version)
}

// finishCall ends the response to one call of an RPC.
func (w *Response) finishCall(err error, more bool) {
	if err == nil {
		err = w.err
	}
	status := uint16(0)
	if err != nil {
		w.cols = nil
		status = w.fail(err)
	} else {
		w.endRows()
		if !w.hasStatus {
			w.ReturnStatus(0)
		}
	}
	if w.hasStatus {
		w.returnStatus(w.status)
	}
	w.out.tokens = append(w.out.tokens, w.values...)
	if more {
		status |= doneMore | doneRPCInBatch
	}
	w.out.tokens = appendDone(w.out.tokens, tokenDoneProc, status, uint16(CommandExecute), 0, w.c.version)
}

// fail writes the messages of err and returns the status of the DONE that must follow.
func (w *Response) fail(err error) (status uint16) {
	if err == errIgnored {
		return doneError
	}
	es := messagesOf(err)
	for _, e := range es {
		w.message(tokenError, e)
	}
	if es.fatal() {
		w.c.doomed = true
		return doneError | doneServerError
	}
	return doneError
}

// finishCancelled ends a response that the client has cancelled, with the error bit but no error, as SQL Server does.
// The acknowledgement follows in a separate message.
func (w *Response) finishCancelled() {
	w.out.tokens = appendDone(w.out.tokens, tokenDone, doneError, 0, 0, w.c.version)
}
