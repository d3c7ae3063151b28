package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Get implements [session.Store].
func (c *Client) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	q := c.request(http.MethodGet, ref, "")
	q.waits = true
	switch {
	case opts.Peek && opts.NoItem:
		q.method = http.MethodHead
	case opts.Peek:
		q.set("peek", "true")
	}
	if opts.AllowLocked {
		q.set("locked", "allow")
	}
	a, err := c.send(ctx, &q)
	if err != nil {
		return session.Session{}, fmt.Errorf("get session: %w", err)
	}
	s := a.session()
	if !opts.NoItem {
		s.Item = a.item(ref.App, &s)
	}
	return s, nil
}

// giveBackTimeout is the deadline for releasing the lock of a caller that has left.
const giveBackTimeout = 2 * time.Second

// Acquire implements [session.Store]. Without an operation id, it acquires again after a
// grant that the server took back because its answer was lost. When ctx ends before
// the answer, Acquire tries for up to two seconds to release the lock that it may have got.
// With an id, a second call with the same id finds its lock.
func (c *Client) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	q := c.request(http.MethodPost, ref, "/lock")
	q.waits, q.op = true, idOf(op)
	q.timeout, q.seconds = op.Timeout, op.Seconds
	if op.Create {
		q.set("create", "true")
	}
	a, err := c.send(ctx, &q)
	if op.ID.IsZero() && isRepeatedAcquire(err, q.tries) {
		q.op = session.NewOperationID()
		a, err = c.send(ctx, &q)
	}
	if err != nil {
		if op.ID.IsZero() && ctx.Err() != nil && q.tries > 0 && session.OutcomeOf(err) == session.Unknown {
			c.giveBack(ctx, q)
		}
		return session.Session{}, session.Lock{}, fmt.Errorf("acquire session: %w", err)
	}
	lock := session.Lock{Handle: a.header.Get("Session-Lock")}
	if lock.IsZero() {
		return session.Session{}, session.Lock{}, fmt.Errorf("acquire session: the server granted the lock, but its answer has no Session-Lock header")
	}
	s := a.session()
	s.Item = a.item(ref.App, &s)
	s.Made = a.status == http.StatusCreated
	return s, lock, nil
}

// giveBack releases the lock that an abandoned acquire may have got.
// The server may have answered before it noticed that the caller left. So giveBack sends the
// acquire again: the same operation id finds its own lock, or that it has none. If the
// server can't be reached, the lock ends by its age.
func (c *Client) giveBack(ctx context.Context, q request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	delete(q.query, "wait")
	a, err := c.sendOnce(ctx, &q)
	if err != nil {
		return
	}
	q.method, q.query, q.timeout, q.seconds = http.MethodDelete, nil, 0, 0
	q.header("Session-Lock", a.header.Get("Session-Lock"))
	q.op = session.NewOperationID()
	_, _ = c.sendOnce(ctx, &q) // no caller waits for the error
}

// handleOf returns the handle by which the server identifies the lock. For a lock without a handle, such as the
// zero lock, it returns one that no server issues: without a handle the server would store past any lock.
func handleOf(lock session.Lock) string {
	if lock.Handle == "" {
		return "none"
	}
	return lock.Handle
}

// Update implements [session.Store].
func (c *Client) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	q := c.request(http.MethodPut, ref, "")
	q.header("Session-Lock", handleOf(lock))
	if keep {
		q.set("keep", "lock")
	}
	return c.store(ctx, &q, w, op, "update session")
}

// Put implements [session.Store].
func (c *Client) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	q := c.request(http.MethodPut, ref, "")
	q.waits = true
	if cond.OnlyCreate {
		q.header("If-None-Match", "*")
	}
	if cond.Match != "" {
		q.header("If-Match", `"`+string(cond.Match)+`"`)
	}
	return c.store(ctx, &q, w, op, "put session")
}

// store sends q with the content w.
func (c *Client) store(ctx context.Context, q *request, w session.Write, op session.Operation, what string) (session.Session, error) {
	body, err := bodyOf(w)
	if err != nil {
		return session.Session{}, err
	}
	q.body, q.timeout, q.seconds, q.op = body, w.Timeout, w.Seconds, idOf(op)
	a, err := c.send(ctx, q)
	if err != nil {
		return session.Session{}, fmt.Errorf("%s: %w", what, err)
	}
	s := a.session()
	s.Made = a.status == http.StatusCreated
	return s, nil
}

// Release implements [session.Store].
func (c *Client) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	q := c.request(http.MethodDelete, ref, "/lock")
	q.header("Session-Lock", handleOf(lock))
	q.op = idOf(op)
	q.timeout, q.seconds = op.Timeout, op.Seconds
	if _, err := c.send(ctx, &q); err != nil {
		return fmt.Errorf("release session: %w", err)
	}
	return nil
}

// GiveBack implements [session.Store]. Over HTTP two calls of one acquire can't be distinguished, so it
// releases the lock. Use it only for an operation that will not be called again.
func (c *Client) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, _ session.OperationID) error {
	return c.Release(ctx, ref, lock, session.Operation{})
}

// Remove implements [session.Store].
func (c *Client) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	q := c.request(http.MethodDelete, ref, "")
	q.waits, q.op = true, idOf(op)
	switch {
	case !lock.IsZero():
		q.header("Session-Lock", handleOf(lock))
	case op.Break:
		q.set("locked", "break")
	}
	if _, err := c.send(ctx, &q); err != nil {
		return fmt.Errorf("remove session: %w", err)
	}
	return nil
}

// Touch implements [session.Store].
func (c *Client) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	q := c.request(http.MethodPost, ref, "/touch")
	q.timeout, q.seconds = op.Timeout, op.Seconds
	a, err := c.send(ctx, &q)
	if err != nil {
		return session.Session{}, fmt.Errorf("touch session: %w", err)
	}
	return a.session(), nil
}

// List implements [session.Lister]. Only the operators' listener has it.
func (c *Client) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	q := request{method: http.MethodGet, path: sessionsPath(app)}
	q.set("limit", fmt.Sprint(limit))
	if after != "" {
		q.set("after", string(after))
	}
	a, err := c.send(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	var page struct {
		Sessions []session.Entry `json:"sessions"`
	}
	if err := a.decode(&page); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return page.Sessions, nil
}
