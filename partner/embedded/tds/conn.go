package tds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// watchAfter is how long a request runs before another goroutine reads further messages of the client: an attention,
// or the end of the connection. Most requests are shorter, and need no second goroutine.
const watchAfter = time.Millisecond

// conn is one connection.
//
// One goroutine at a time is the leader: it reads a message and runs it. If that takes longer than watchAfter, a
// second goroutine becomes the leader and reads on; the first one ends when its request ends. So requests run one
// after another, each on the goroutine that read it, and an attention is read while a request runs.
type conn struct {
	srv        *Server
	raw        net.Conn
	spid       uint16
	ctx        context.Context // ends with the connection
	cancel     context.CancelCauseFunc
	session    Session // set by login
	serverName string
	version    uint32
	full       bool // the connection has no slot; see slots
	evicted    bool // the connection has lost its slot. Guarded by srv.slots.mu.

	// Owned by the leader.
	in    *packetReader
	body  []byte // of the message being read; nil while a running request uses it
	names map[string]string

	watch *time.Timer    // passes the leadership on
	wg    sync.WaitGroup // the goroutines started by watch

	// turn is held while a request runs and its response is sent. It guards:
	turn        sync.Mutex
	out         *packetWriter
	w           Response
	transaction uint64 // id of the open transaction; 0: none
	doomed      bool   // the response being written is the last one

	mu        sync.Mutex
	running   bool // a request is running, or its response is being sent
	attention bool // the client cancelled the request and waits for the acknowledgement
	stop      context.CancelCauseFunc
	ended     bool
	cause     error // why the connection ended; nil: the client left
}

func newConn(ctx context.Context, s *Server, raw net.Conn) *conn {
	c := &conn{srv: s, raw: raw, spid: s.nextSPID(), version: tds72, names: map[string]string{}}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.in, c.out = newPacketReader(raw), newPacketWriter(raw, c.spid)
	c.w.c, c.w.out = c, c.out
	return c
}

// serve serves the connection from its first byte to its end.
func (c *conn) serve() error {
	stop := context.AfterFunc(c.ctx, func() { c.raw.Close() })
	defer stop()
	defer c.end(nil)
	if err := c.login(); err != nil {
		c.end(err)
	} else {
		c.watch = time.AfterFunc(time.Hour, c.takeLead)
		c.watch.Stop()
		c.lead()
		c.wg.Wait()
	}
	if c.session != nil {
		c.session.Close()
	}
	if c.ctx.Err() != nil && !errors.Is(context.Cause(c.ctx), ErrClientGone) {
		return nil // stopped by the server
	}
	return c.cause
}

// end ends the connection, once. err is nil or io.EOF if the client closed the connection in order.
func (c *conn) end(err error) {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		if err != io.EOF {
			c.cause = err
		}
	}
	c.mu.Unlock()
	c.cancel(ErrClientGone)
	c.raw.Close()
}

// takeLead is lead on a new goroutine, which run has counted.
func (c *conn) takeLead() {
	defer c.wg.Done()
	c.lead()
}

// lead reads messages and runs them until the connection ends or another goroutine has become the leader.
func (c *conn) lead() {
	for {
		m, err := c.in.next(c.body, c.srv.maxRequest())
		if err != nil {
			c.endBroken(err)
			return
		}
		c.body = m.body
		if m.kind == packetAttention {
			c.cancelled()
			continue
		}
		if !c.run(m) {
			return
		}
	}
}

// endBroken ends the connection because of an error of its reader. It answers malformed bytes if no other response is
// being written.
func (c *conn) endBroken(err error) {
	if errors.Is(err, errFraming) && c.turn.TryLock() {
		c.refuse(Errors{malformed(err)})
		c.turn.Unlock()
	}
	c.end(err)
}

// cancelled handles an attention. It cancels the running request, which then acknowledges the attention; if no
// request is running, cancelled acknowledges it.
func (c *conn) cancelled() {
	c.mu.Lock()
	running := c.running
	if running {
		c.attention = true
		c.stop(ErrAttention)
	}
	c.mu.Unlock()
	if running {
		return
	}
	c.turn.Lock() // the goroutine of the last request may still use c.out
	defer c.turn.Unlock()
	if err := c.acknowledge(); err != nil {
		c.end(err)
	}
}

// run runs one request, after the previous one, and reports whether the caller is still the leader.
func (c *conn) run(m message) bool {
	c.turn.Lock()
	ctx, stop := context.WithCancelCause(c.ctx)
	defer stop(nil)
	c.mu.Lock()
	c.running, c.attention, c.stop = true, false, stop
	c.mu.Unlock()

	// From here on another goroutine may be the leader: it must not use this message's memory.
	body := c.body
	c.body = nil
	c.wg.Add(1)
	c.watch.Reset(watchAfter)
	err := c.execute(ctx, m)
	if err == nil {
		err = c.answer()
	}
	leading := c.watch.Stop()
	doomed := c.doomed
	c.turn.Unlock()
	if leading {
		c.wg.Done()
		if cap(body) <= keepBuffer {
			c.body = body
		}
	}
	if err != nil || doomed {
		c.end(err)
		return false
	}
	return leading
}

// answer sends what execute has written, and acknowledges an attention that arrived meanwhile.
func (c *conn) answer() error {
	if err := c.out.finish(); err != nil {
		return err
	}
	c.mu.Lock()
	attention := c.attention
	c.running = false
	c.mu.Unlock()
	if attention {
		return c.acknowledge()
	}
	return nil
}

// acknowledge answers an attention, in a separate message: tedious ignores an acknowledgement at the end of the
// cancelled response, and SQL Server sends two messages too.
func (c *conn) acknowledge() error {
	c.out.tokens = appendDone(c.out.tokens, tokenDone, doneAttention, 0, 0, c.version)
	return c.out.finish()
}

// execute runs the request m and writes its response, except what follows an attention. The error is the reason why
// there is no response: the server stops, or the client is gone. From then on everything that a session writes is
// dropped, including errors; an end of the response would wrongly report success.
func (c *conn) execute(ctx context.Context, m message) error {
	c.w.start(ctx, m.kind == packetRPC)
	err := c.refusal(m)
	if err == nil && m.reset != 0 {
		err = c.reset(ctx, m.reset)
	}
	if err == nil {
		switch m.kind {
		case packetBatch:
			var text string
			if text, err = batchText(m.body); err != nil {
				err = malformed(err)
				break
			}
			err = c.session.Batch(ctx, text, &c.w)
		case packetRPC:
			err = c.calls(ctx, m.body)
		case packetTransaction:
			err = c.transact(ctx, m.body)
		}
	}
	switch cause := context.Cause(ctx); cause {
	case nil:
		c.w.finish(err, false)
	case ErrAttention:
		c.w.finishCancelled()
	default:
		return cause
	}
	return nil
}

// refusal returns the error for a message that is not run.
func (c *conn) refusal(m message) error {
	switch {
	case m.tooLarge:
		return &Error{Number: 50000, Class: 16, Message: fmt.Sprintf("The request is longer than the %d bytes that this server takes.", c.srv.maxRequest())}
	case m.ignored:
		return errIgnored
	}
	switch m.kind {
	case packetBatch, packetRPC, packetTransaction:
		return nil
	case packetBulk:
		return notSupported("A bulk load (INSERT BULK)")
	}
	return malformed(fmt.Errorf("message of type %d", m.kind))
}

// errIgnored is a request that its client marked as to be ignored. The response is a DONE with only the error bit.
var errIgnored = errors.New("tds: request ignored as the client asked")

// calls runs the calls of an RPC message, and ends the response to each call except the last.
func (c *conn) calls(ctx context.Context, body []byte) error {
	d := &decoder{b: body, alias: cap(body) > keepBuffer, names: c.names}
	calls, err := parseRPC(d)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = malformed(err)
		}
		return err
	}
	last := len(calls) - 1
	for _, call := range calls[:last] {
		err := c.session.Call(ctx, call, &c.w)
		if ctx.Err() != nil || messagesOf(err).fatal() {
			return err
		}
		c.w.finish(err, true)
		c.w.start(ctx, true)
	}
	return c.session.Call(ctx, calls[last], &c.w)
}

// transact runs a transaction manager request.
func (c *conn) transact(ctx context.Context, body []byte) error {
	r, err := parseTransaction(body)
	if err != nil {
		return malformed(err)
	}
	switch r.kind {
	case transactionBegin:
		return c.begin(ctx, r)
	case transactionCommit:
		err = c.session.Commit(ctx)
	case transactionRollback:
		err = c.rollback(ctx, r.ends)
	case transactionSave:
		if nester, ok := c.session.(TransactionNester); ok {
			return nester.Save(ctx, r.name)
		}
		return notSupported("A savepoint")
	default:
		return notSupported(fmt.Sprintf("Transaction manager request %d", r.kind))
	}
	if err != nil {
		return err
	}
	if nester, ok := c.session.(TransactionNester); !ok || !nester.InTransaction() {
		c.w.TransactionEnded(r.kind == transactionCommit)
	}
	if r.begin {
		return c.begin(ctx, r)
	}
	return nil
}

// rollback rolls the transaction back, to the savepoint if name is one.
func (c *conn) rollback(ctx context.Context, name string) error {
	if nester, ok := c.session.(TransactionNester); ok && name != "" {
		return nester.RollbackTo(ctx, name)
	}
	return c.session.Rollback(ctx)
}

func (c *conn) begin(ctx context.Context, r transactionRequest) error {
	id, err := c.session.Begin(ctx, r.isolation, r.name)
	if err != nil {
		return err
	}
	c.w.TransactionBegan(id)
	return nil
}

// reset resets the session to its state after the login, as the first packet of a request asked.
func (c *conn) reset(ctx context.Context, bits byte) error {
	keep := bits&statusResetKeep != 0 && c.transaction != 0
	if !keep {
		if err := c.session.Reset(ctx); err != nil {
			return err
		}
		c.w.TransactionEnded(false)
	} else {
		keeper, ok := c.session.(TransactionKeeper)
		if !ok {
			return notSupported("Resetting a connection without ending its transaction")
		}
		if err := keeper.ResetKeepTransaction(ctx); err != nil {
			return err
		}
	}
	if c.w.canSend() {
		c.out.tokens = appendEnvBytes(c.out.tokens, envReset, nil, nil)
	}
	return nil
}
