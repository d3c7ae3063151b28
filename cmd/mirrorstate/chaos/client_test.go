package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// callTimeout is how long a client waits for one answer: longer than any proxy may take.
const callTimeout = 60 * time.Second

// resends is how often a client sends a call again whose outcome it does not know,
// with the same operation id, as everybody should.
const resends = 3

// door is a proxy as a client sees it.
type door struct {
	now   session.Store // calls that meet a lock fail at once
	waits session.Store // they queue for it, for lockWait
	proxy *instance     // nil: a store in this process
}

// closed tells whether the proxy is dead, so that a balancer sends it nothing.
func (d door) closed() bool { return d.proxy != nil && d.proxy.current() == nil }

// enter notes that a call begins there; leave says whether the proxy died meanwhile.
func (d door) enter() (leave func() (died bool)) {
	if d.proxy == nil {
		return func() bool { return false }
	}
	deaths := d.proxy.deaths.Load()
	d.proxy.calls.Add(1)
	return func() bool {
		d.proxy.calls.Add(-1)
		return d.proxy.deaths.Load() != deaths || d.closed()
	}
}

// client does what web servers do, at random. It belongs to one goroutine.
type client struct {
	number int
	waits  int // every so manieth call queues for a lock, on average; 0: none
	random *rand.Rand
	doors  []door // of each proxy; every call takes one at random
	tally  *tally
	epoch  time.Time // when the run began
	seq    int
}

// run takes turns until ctx ends; a turn that has begun is ended.
func (c *client) run(ctx context.Context, s *stage) {
	for ctx.Err() == nil {
		sub := s.take(c.random.IntN(len(s.slots)))
		c.turn(sub)
		s.put(sub)
	}
}

// turn is one thing that a web server does with a session.
func (c *client) turn(sub *subject) {
	switch n := c.random.IntN(100); {
	case n < 55:
		c.cycle(sub)
	case n < 67:
		c.get(sub, false)
	case n < 73:
		c.get(sub, true)
	case n < 78:
		c.touch(sub)
	case n < 84:
		c.put(sub, session.Condition{})
	case n < 88:
		c.put(sub, session.Condition{OnlyCreate: true})
	case n < 96:
		if seen := c.get(sub, true); seen.Tag != "" {
			c.put(sub, session.Condition{Match: seen.Tag})
		}
	default:
		c.remove(sub, grant{})
	}
}

// cycle is acquire, perhaps store and keep, and store, release or remove. Each of
// these may go through another proxy.
func (c *client) cycle(sub *subject) {
	out, lock := c.acquire(sub)
	switch out.Result {
	case notFound:
		c.put(sub, session.Condition{OnlyCreate: true})
		return
	case done:
	default:
		return
	}
	if c.random.IntN(6) == 0 {
		c.update(sub, lock, true)
	}
	var end output
	switch n := c.random.IntN(100); {
	case n < 80:
		end = c.update(sub, lock, false)
	case n < 93:
		end = c.release(sub, lock)
	default:
		end = c.remove(sub, lock)
	}
	if end.Result != done {
		sub.retireBusy() // the lock may be held for ever now
	}
}

// value is a new value and the item it is stored as: now and then a large one,
// which has a column of its own in the database.
func (c *client) value() (string, []byte) {
	c.seq++
	v := fmt.Sprintf("%d.%d", c.number, c.seq)
	if c.random.IntN(12) == 0 {
		return v, []byte(v + " " + strings.Repeat("x", largeItem))
	}
	return v, []byte(v)
}

const largeItem = 7500

// valueOf is the value of an item that was read; what nobody has stored is its own value.
func valueOf(item []byte) string {
	v, rest, _ := strings.Cut(string(item), " ")
	if rest != "" && rest != strings.Repeat("x", largeItem) {
		return "damaged: " + string(item)
	}
	return v
}

// grant is a lock and its name in the history: the operation id that the client gave
// its acquire. The one in the lock is the proxy's.
type grant struct {
	session.Lock
	name string
}

func (c *client) acquire(sub *subject) (output, grant) {
	op := session.NewOperation()
	lock := grant{name: fmt.Sprintf("%x", op.ID[:])}
	in := input{Verb: verbAcquire, Lock: lock.name}
	out := c.call(sub, in, func(ctx context.Context, st session.Store) (output, error) {
		s, l, err := st.Acquire(ctx, sub.ref, op)
		lock.Lock = l
		return output{Value: valueOf(s.Item), Tag: s.Tag}, err
	})
	return out, lock
}

func (c *client) update(sub *subject, lock grant, keep bool) output {
	op := session.NewOperation()
	v, item := c.value()
	in := input{Verb: verbUpdate, Lock: lock.name, Value: v, Keep: keep}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (output, error) {
		s, err := st.Update(ctx, sub.ref, lock.Lock, session.Write{Item: item}, keep, op)
		return output{Tag: s.Tag}, err
	})
}

func (c *client) release(sub *subject, lock grant) output {
	op := session.NewOperation()
	return c.call(sub, input{Verb: verbRelease, Lock: lock.name}, func(ctx context.Context, st session.Store) (output, error) {
		return output{}, st.Release(ctx, sub.ref, lock.Lock, op)
	})
}

func (c *client) remove(sub *subject, lock grant) output {
	op := session.NewOperation()
	in := input{Verb: verbRemove, Lock: lock.name}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (output, error) {
		return output{}, st.Remove(ctx, sub.ref, lock.Lock, op)
	})
}

func (c *client) put(sub *subject, cond session.Condition) output {
	op := session.NewOperation()
	v, item := c.value()
	in := input{Verb: verbPut, Value: v, OnlyCreate: cond.OnlyCreate, Match: cond.Match}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (output, error) {
		s, err := st.Put(ctx, sub.ref, session.Write{Item: item}, cond, op)
		return output{Tag: s.Tag, Made: s.Made}, err
	})
}

func (c *client) get(sub *subject, beside bool) output {
	return c.call(sub, input{Verb: verbGet, Beside: beside}, func(ctx context.Context, st session.Store) (output, error) {
		s, err := st.Get(ctx, sub.ref, session.GetOptions{AllowLocked: beside})
		return output{Value: valueOf(s.Item), Tag: s.Tag}, err
	})
}

func (c *client) touch(sub *subject) output {
	return c.call(sub, input{Verb: verbTouch}, func(ctx context.Context, st session.Store) (output, error) {
		s, err := st.Touch(ctx, sub.ref)
		return output{Tag: s.Tag}, err
	})
}

// call sends one call through a proxy at random, again while its outcome is
// unknown, and notes what became of it.
func (c *client) call(sub *subject, in input, send func(context.Context, session.Store) (output, error)) output {
	// A read beside the holder has nothing to wait for, and a wait says less: who did
	// not get its turn is told "locked" for what was seen last.
	in.Waits = !in.Beside && c.waits > 0 && c.random.IntN(c.waits) == 0
	r := record{Client: c.number, In: in, Call: c.since()}
	doubt := false // a try that was sent, and nobody knows
	for r.Tries = 1; ; r.Tries++ {
		began := c.since()
		out, died := c.sendOnce(in, send)
		r.Out, r.Return = out, c.since()
		if out.Result == unknown || died {
			doubt = true
		}
		if out.Result == unknown && !died {
			r.Doubts = append(r.Doubts, span{began, r.Return})
		}
		if out.Result != unknown && out.Result != nothing || !doubt || r.Tries > resends {
			break
		}
	}
	c.note(sub, r, doubt)
	return r.Out
}

// sendOnce sends a call once, and tells whether the proxy died under it.
func (c *client) sendOnce(in input, send func(context.Context, session.Store) (output, error)) (out output, died bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	d := c.door(ctx)
	store := d.now
	if in.Waits {
		store = d.waits
	}
	leave, began := d.enter(), time.Now()
	out, err := send(ctx, store)
	died = leave()
	if err != nil {
		out = output{Result: resultOf(err)}
	} else {
		out.Result = done
	}
	c.tally.answered(in, out.Result, time.Since(began), died, err)
	if d.proxy != nil && out.Result != unknown && out.Result != nothing {
		if at := d.proxy.served.Swap(0); at != 0 {
			c.tally.resumed(time.Since(time.Unix(0, at)))
		}
	}
	return out, died
}

// door is a proxy at random of those that live; it waits for one, if none does.
func (c *client) door(ctx context.Context) door {
	open := slices.DeleteFunc(slices.Clone(c.doors), door.closed)
	if len(open) > 0 {
		return open[c.random.IntN(len(open))]
	}
	d := c.doors[c.random.IntN(len(c.doors))]
	select {
	case <-d.proxy.alive():
	case <-ctx.Done():
	}
	return d
}

// resultOf is an error as an answer.
func resultOf(err error) result {
	switch {
	case errors.Is(err, session.ErrNotFound):
		return notFound
	case errors.Is(err, session.ErrLocked):
		return locked
	case errors.Is(err, session.ErrLockLost):
		return lockLost
	case errors.Is(err, session.ErrPrecondition):
		return precondition
	case session.OutcomeOf(err) == session.NotApplied:
		return nothing
	}
	return unknown
}

// note adds the call to the history.
func (c *client) note(sub *subject, r record, doubt bool) {
	// Sent again by the client, only "done" is to be relied on: the session may have
	// forgotten by then that it was done before.
	if doubt && r.Out.Result != done {
		r.Out.Result = unknown
		c.tally.doubtful.Add(1)
	}
	switch {
	case r.Out.Result == nothing:
		return
	case r.In.Verb == verbAcquire && (r.Out.Result == lockLost || r.Out.Result == unknown):
		// The lock may have been granted to nobody, and is given back by the proxy then: two
		// things, each at its own time.
		if r.Out.Result == unknown {
			sub.retireBusy() // or it is held for ever: that proxy is dead
		}
		r.Out.Result, r.Return = unknown, forever
		back := r
		back.In.Verb, back.Doubts = verbRelease, nil
		sub.note(back)
		c.tally.takenBack.Add(1)
	case r.Out.Result == unknown:
		r.Return = forever
		sub.retireBusy()
	}
	sub.note(r)
}

func (c *client) since() int64 { return int64(time.Since(c.epoch)) }
