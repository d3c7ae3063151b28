package tds

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// sendAt is how much is gathered before full packets are sent.
const sendAt = 16 << 10

// maxInfoClass is the highest severity that is not an error.
const maxInfoClass = 10

// Response is where a [Session] writes the answer to the request it is running.
// It belongs to the goroutine of the call and means nothing after it. The final
// token is the package's own: a session that writes nothing has answered "done".
//
// What is written is buffered into packets and sent as they fill, at the latest
// when the call returns. After an attention everything further is dropped.
type Response struct {
	c   *conn
	ctx context.Context
	out *packetWriter
	rpc bool

	inProcedure bool  // what is written is of a procedure that a text runs
	textSize    int64 // bytes of a long value that are sent; 0: all

	cols []Column // of the open result set; nil: none is open
	rows int64    // sent in it
	// last is where the last token stands in out.tokens, if it is a DONE that may turn out to be
	// the final one; else 0.
	last int

	status    int32
	hasStatus bool
	values    []byte // RETURNVALUE tokens, which follow the return status
	ordinal   uint16
	err       error // of a ReturnValue: fails the call

	failed func(e *Error) // told of errors that do not end the request; nil: nobody
}

// Unread is a response to a request that has no client: nobody reads it. failed is told of the errors that do
// not end the request.
func Discarding(ctx context.Context, failed func(e *Error)) *Response {
	w := &Response{c: &conn{}, out: newPacketWriter(discardConn{}, 0), failed: failed}
	w.start(ctx, false)
	return w
}

// nobody is who does not read a response.
type discardConn struct{ net.Conn }

// SetWriteDeadline implements [net.Conn].
func (discardConn) SetWriteDeadline(time.Time) error { return nil }

// Write implements [net.Conn].
func (discardConn) Write(b []byte) (int, error) { return len(b), nil }

// start prepares the response for a request or for one call of an RPC.
func (w *Response) start(ctx context.Context, rpc bool) {
	w.ctx, w.rpc = ctx, rpc
	w.inProcedure, w.textSize = false, 0
	w.cols, w.last = nil, 0
	if cap(w.values) > keepBuffer {
		w.values = nil
	}
	w.hasStatus, w.values, w.ordinal, w.err = false, w.values[:0], 0, nil
}

// open makes room for another token, and reports whether there is still somebody to send it to.
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

// Row adds a row to the result set that Columns started. Each value is nil, a bool, an
// integer, a float64 or float32, a string, a []byte (nil is NULL) or a time.Time, as the
// column's type wants. A wrong number of values, or a value that the column's type can't
// hold, is an error that names the column, and nothing of the row is sent. It also fails
// once the client is gone or has cancelled; a session should then stop. Values are not kept.
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

// Done ends a result set of that many rows, or tells how many rows a statement changed.
// A negative number is a statement without a count (SET NOCOUNT ON).
func (w *Response) Done(rows int64) { w.DoneCommand(CommandNone, rows) }

// Did is Done that names the statement: drivers take a count for one of rows changed only where the command says so. What ends
// an open result set is [CommandSelect], whatever was named.
//
// In a text each statement ends so, but for DECLARE, SET @variable and control of flow, also where nothing is
// counted. In a procedure a statement without a count and without rows sends nothing, as under SET NOCOUNT ON.
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

// InProcedure says whether what is written from now on is of a procedure that a text runs by EXEC: its statements end
// by other tokens. [Response.ReturnStatus] ends such a procedure.
func (w *Response) InProcedure(yes bool) { w.inProcedure = yes }

// TextSize bounds how many bytes of a value of a long type the rows of this answer have (SET TEXTSIZE); 0: all of them.
func (w *Response) TextSize(n int64) { w.textSize = n }

// done appends a DONE of any kind that is followed by more, unless it turns out to be the last.
func (w *Response) done(token byte, status, command uint16, count uint64) {
	if w.canSend() {
		w.last = len(w.out.tokens)
		w.out.tokens = appendDone(w.out.tokens, token, status, command, count, w.c.version)
	}
}

// endRows ends an open result set that the session has not.
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

// Error sends an error that does not end the request, as of a failed statement in a
// batch that goes on. An error that ends the request is simply returned.
func (w *Response) Error(e *Error) {
	w.cols = nil // the DONE below ends an open result set too
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

// ReturnStatus sets a procedure's return status. In a Call the last one set is sent
// after the result sets, and 0 if none was and the call succeeded. In a Batch it ends one EXEC.
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

// ReturnValue gives the value of an output parameter. Name it as the procedure
// declares it, with "@". A value that t can't hold fails the call. In a Batch it does nothing,
// as output parameters of an EXEC in a text stay on the server.
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

// DatabaseChanged tells the client that the session is in another database now
// (ENVCHANGE 1 and INFO 5701).
func (w *Response) DatabaseChanged(from, to string) {
	if w.canSend() {
		w.out.tokens = appendDatabase(w.out.tokens, from, to, w.c.serverName, w.c.version)
	}
}

// TransactionBegan tells the client that a BEGIN TRANSACTION in a text opened a
// transaction (ENVCHANGE 8). The id must not be 0.
func (w *Response) TransactionBegan(id uint64) {
	w.c.transaction = id
	if w.canSend() {
		w.out.tokens = appendTransaction(w.out.tokens, envBegin, id)
	}
}

// TransactionEnded tells the client that its transaction was committed or rolled back
// by a text, or by an error that dooms it (ENVCHANGE 9, 10). Without an open one it does nothing.
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

// finish ends the answer to a request, or to one call of an RPC; more: another call of the
// same message follows.
func (w *Response) finish(err error, more bool) {
	if w.rpc {
		w.finishCall(err, more)
		return
	}
	w.finishBatch(err)
}

// finishBatch ends the answer to anything but an RPC. The last counted statement's DONE
// becomes the final one, because drivers add up the counts of every DONE.
func (w *Response) finishBatch(err error) {
	if err != nil {
		w.cols = nil // its DONE is the one with the error bit
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

// finishCall ends the answer to one call of an RPC.
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

// fail writes the messages of err and gives the status of the DONE that must follow.
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

// finishCancelled ends an answer that the client has cancelled, with the error bit but no error, as SQL
// Server does. The acknowledgement follows in a message of its own.
func (w *Response) finishCancelled() {
	w.out.tokens = appendDone(w.out.tokens, tokenDone, doneError, 0, 0, w.c.version)
}
