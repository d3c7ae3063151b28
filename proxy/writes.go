package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mirrorstate/mirrorstate/session"
)

// create is POST /v1/apps/{app}/sessions: 201 with Location and {"id":…}. An empty body creates an uninitialized
// session.
func create(ctx context.Context, c *call) error {
	s, err := admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
		return store.Put(ctx, c.ref, c.write(), session.Condition{OnlyCreate: true}, c.op)
	})
	if c.keyed() && errors.Is(err, session.ErrPrecondition) {
		// Only a create with this key makes a session with this id. So this call was sent before, and the session has
		// forgotten the operation.
		s, err = session.Session{}, nil
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		ID session.ID `json:"id"`
	}{c.ref.ID})
	if err != nil {
		return err
	}
	h := c.w.Header()
	c.values.set(h, "Location", c.base+c.r.URL.EscapedPath()+"/"+string(c.ref.ID))
	h["Content-Type"] = jsonType
	c.answerSession(ctx, http.StatusCreated, &s)
	c.w.Write(append(body, '\n'))
	return nil
}

// write returns the content to store: the body, or that of an uninitialized session.
func (c *call) write() session.Write {
	if len(c.body) > 0 {
		return session.Write{Item: c.body, Timeout: c.timeout, Seconds: c.seconds}
	}
	minutes := c.timeout
	if minutes == 0 {
		minutes = c.ref.App.Timeout
	}
	return session.Write{Item: session.EmptyContent(minutes), Timeout: c.timeout, Seconds: c.seconds, Uninitialized: true}
}

// put is PUT /v1/apps/{app}/sessions/{id}[?wait=…][&keep=lock]: 204, or 201 if it created the session. With
// Session-Lock it updates the session and releases the lock. Without, it stores unless another caller holds the lock,
// subject to If-Match or If-None-Match.
func put(ctx context.Context, c *call) error {
	handle, locked, err := oneHeader(c.r.Header["Session-Lock"], "Session-Lock")
	if err != nil {
		return err
	}
	keep, err := c.flag("keep", "lock")
	if err != nil {
		return err
	}
	pre, err := condition(c.r.Header)
	if err != nil {
		return err
	}
	switch {
	case locked && pre != precondition{}:
		return badInput("header Session-Lock", "cannot be combined with If-Match or If-None-Match: the lock guards the session already")
	case keep && !locked:
		return badInput("parameter keep", "needs the header Session-Lock")
	case locked:
		return c.update(ctx, handle, keep)
	}
	cond, err := c.conditionOf(ctx, pre)
	if err != nil {
		return err
	}
	var s session.Session
	if pre.mustExist {
		s, err = retryWhileLocked(ctx, c, true, c.putExisting)
	} else {
		s, err = admitWhenUnlocked(ctx, c, true, func(ctx context.Context, store session.Store) (session.Session, error) {
			return store.Put(ctx, c.ref, c.write(), cond, c.op)
		})
	}
	if err != nil {
		return c.removed(err)
	}
	c.wakeWaiter()
	status := http.StatusNoContent
	if s.Made {
		status = http.StatusCreated
	}
	c.answerSession(ctx, status, &s)
	return nil
}

// update stores under a lock.
func (c *call) update(ctx context.Context, handle string, keep bool) error {
	lock, err := c.lockOf(ctx, handle)
	if err != nil {
		return err
	}
	s, err := admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
		return store.Update(ctx, c.ref, lock, c.write(), keep, c.op)
	})
	if err != nil {
		return err
	}
	if !keep {
		c.wakeWaiter()
	}
	c.answerSession(ctx, http.StatusNoContent, &s)
	return nil
}

// putExisting is a put with If-Match: *. The store can only compare versions, so putExisting reads the session's current
// version and names that. If another call has changed the session meanwhile, it does so again, until ctx ends. A put
// that is sent again is recognized by its operation id, so it may name another version.
func (c *call) putExisting(ctx context.Context) (session.Session, error) {
	for {
		s, err := admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
			return store.Get(ctx, c.ref, session.GetOptions{Peek: true, NoItem: true})
		})
		switch {
		case errors.Is(err, session.ErrNotFound):
			return session.Session{}, session.ErrPrecondition
		case err != nil:
			return session.Session{}, err
		case s.Tag == "":
			return session.Session{}, badInput("header If-Match", "needs entity tags, which this store does not have")
		}
		cond := session.Condition{Match: s.Tag}
		s, err = admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
			return store.Put(ctx, c.ref, c.write(), cond, c.op)
		})
		if !errors.Is(err, session.ErrPrecondition) || ctx.Err() != nil {
			return s, err
		}
	}
}

// breakValue is the value of ?locked= with which a removal ignores a lock.
const breakValue = "break"

// remove is DELETE /v1/apps/{app}/sessions/{id}[?wait=…][&locked=break]: 204, also if there is no such session.
// locked=break removes the session even if another caller holds its lock.
func remove(ctx context.Context, c *call) error {
	handle, locked, err := oneHeader(c.r.Header["Session-Lock"], "Session-Lock")
	if err != nil {
		return err
	}
	if c.op.Break, err = c.flag("locked", breakValue); err != nil {
		return err
	}
	var lock session.Lock
	switch {
	case locked && c.op.Break:
		return badInput("header Session-Lock", "cannot be combined with locked=break, which removes the session even if another caller holds its lock")
	case locked:
		if lock, err = c.lockOf(ctx, handle); err != nil {
			return lost(err, lostByRemoval)
		}
	}
	removal := func(ctx context.Context, store session.Store) (struct{}, error) {
		return struct{}{}, store.Remove(ctx, c.ref, lock, c.op)
	}
	if locked || c.op.Break { // another caller's lock does not stop it, so it need not wait in the queue
		_, err = admit(ctx, c, removal)
	} else {
		_, err = admitWhenUnlocked(ctx, c, true, removal)
	}
	if err != nil {
		return lost(err, lostByRemoval)
	}
	c.wakeWaiter()
	c.answerDone()
	return nil
}
