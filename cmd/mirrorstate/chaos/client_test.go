package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// callTimeout is how long a client waits for one answer. It is longer than any proxy may take.
const callTimeout = 60 * time.Second

// resends is how often a client sends a call again if its outcome is unknown. It uses the same operation id, as every
// client should.
const resends = 3

// target is a proxy as a client sees it, or a store in this process.
type target struct {
	now   session.Store // a call that finds the session locked fails at once
	waits session.Store // it queues for the lock, for lockWait
	proxy *instance     // nil: a store in this process

	waiting func(time.Duration) session.Store // a store whose calls queue for this time
}

// closed reports whether the proxy is dead or stopping, so that a balancer sends it nothing.
func (d target) closed() bool { return d.proxy != nil && d.proxy.current() == nil }

// name returns the proxy's name.
func (d target) name() string {
	if d.proxy == nil {
		return ""
	}
	return d.proxy.app
}

// enter records that a call to the proxy begins. leave reports whether the proxy was killed meanwhile; a proxy that is
// restarted answers the call.
func (d target) enter() (leave func() (died bool)) {
	if d.proxy == nil {
		return func() bool { return false }
	}
	deaths := d.proxy.deaths.Load()
	d.proxy.calls.Add(1)
	return func() bool {
		d.proxy.calls.Add(-1)
		return d.proxy.deaths.Load() != deaths || d.proxy.killed.Load()
	}
}

// client does at random what web servers do. One goroutine uses it.
type client struct {
	number  int
	waits   int // on average, one call in this many queues for a lock; 0: none
	rude    int // on average, one mutation in this many is rude; 0: none
	random  *rand.Rand
	targets []target // all proxies; every call uses a random one
	plans   []plan   // of the next rounds, if a test sets them; later ones are random
	tally   *tally
	epoch   time.Time // when the run began
	seq     int
}

// run takes turns until ctx ends. It finishes a turn that has begun.
func (c *client) run(ctx context.Context, s *stage) {
	for ctx.Err() == nil {
		sub := s.take(c.random.IntN(len(s.slots)))
		c.turn(sub)
		s.put(sub)
	}
}

// turn does one thing that a web server does with a session.
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

// cycle acquires the lock, may store and keep it, and then stores, releases or removes. Each call may use another
// proxy.
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
		for range 1 + c.random.IntN(6) {
			c.update(sub, lock, true)
		}
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
		sub.retireBusy() // the lock may be held forever now
	}
}

// value returns a new value and its item. Some items are large: these have a column of their own in the database.
func (c *client) value() (string, []byte) {
	c.seq++
	v := fmt.Sprintf("%d.%d", c.number, c.seq)
	if c.random.IntN(12) == 0 {
		return v, []byte(v + " " + strings.Repeat("x", largeItem))
	}
	return v, []byte(v)
}

const largeItem = 7500

// valueOf returns the value of an item that was read. An item that no client has stored is its own value.
func valueOf(item []byte) string {
	v, rest, _ := strings.Cut(string(item), " ")
	if rest != "" && rest != strings.Repeat("x", largeItem) {
		return "damaged: " + string(item)
	}
	return v
}

// grant is a lock and its name in the history: the operation id of the client's acquire. The operation id in the lock
// is the proxy's.
type grant struct {
	session.Lock
	name string
}

func (c *client) acquire(sub *subject) (output, grant) {
	op := session.NewOperation()
	name := fmt.Sprintf("%x", op.ID[:])
	out := c.call(sub, input{Verb: verbAcquire, Lock: name}, func(ctx context.Context, st session.Store) (answer, error) {
		s, l, err := st.Acquire(ctx, sub.ref, op)
		return answer{output{Value: valueOf(s.Item), Tag: s.Tag}, l}, err
	})
	return out.output, grant{out.lock, name}
}

func (c *client) update(sub *subject, lock grant, keep bool) output {
	op := session.NewOperation()
	v, item := c.value()
	in := input{Verb: verbUpdate, Lock: lock.name, Value: v, Keep: keep}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (answer, error) {
		s, err := st.Update(ctx, sub.ref, lock.Lock, session.Write{Item: item}, keep, op)
		return answer{output: output{Tag: s.Tag}}, err
	}).output
}

func (c *client) release(sub *subject, lock grant) output {
	op := session.NewOperation()
	return c.call(sub, input{Verb: verbRelease, Lock: lock.name}, func(ctx context.Context, st session.Store) (answer, error) {
		return answer{}, st.Release(ctx, sub.ref, lock.Lock, op)
	}).output
}

func (c *client) remove(sub *subject, lock grant) output {
	op := session.NewOperation()
	in := input{Verb: verbRemove, Lock: lock.name}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (answer, error) {
		return answer{}, st.Remove(ctx, sub.ref, lock.Lock, op)
	}).output
}

func (c *client) put(sub *subject, cond session.Condition) output {
	op := session.NewOperation()
	v, item := c.value()
	in := input{Verb: verbPut, Value: v, OnlyCreate: cond.OnlyCreate, Match: cond.Match}
	return c.call(sub, in, func(ctx context.Context, st session.Store) (answer, error) {
		s, err := st.Put(ctx, sub.ref, session.Write{Item: item}, cond, op)
		return answer{output: output{Tag: s.Tag, Made: s.Made}}, err
	}).output
}

func (c *client) get(sub *subject, beside bool) output {
	return c.call(sub, input{Verb: verbGet, Beside: beside}, func(ctx context.Context, st session.Store) (answer, error) {
		s, err := st.Get(ctx, sub.ref, session.GetOptions{AllowLocked: beside})
		return answer{output: output{Value: valueOf(s.Item), Tag: s.Tag}}, err
	}).output
}

func (c *client) touch(sub *subject) output {
	return c.call(sub, input{Verb: verbTouch}, func(ctx context.Context, st session.Store) (answer, error) {
		s, err := st.Touch(ctx, sub.ref, session.Operation{})
		return answer{output: output{Tag: s.Tag}}, err
	}).output
}

// answer is the answer to one request.
type answer struct {
	output
	lock session.Lock // of an acquire that was granted
}

// sendFunc sends a call's request, with the same operation id each time. Any number of goroutines may use it.
type sendFunc func(ctx context.Context, st session.Store) (answer, error)

// call sends one call, in rounds while its outcome is unknown, and records the result. A round is one request, or two
// at the same moment to two proxies. The next round goes to another proxy, if there is one.
func (c *client) call(sub *subject, in input, send sendFunc) answer {
	// A read with Beside never waits. A call that waited in vain says less about the session: its "locked" is the state
	// when it last looked.
	in.Waits = !in.Beside && c.waits > 0 && c.random.IntN(c.waits) == 0
	rude := c.isRude(in)
	r := record{Client: c.number, In: in, Call: c.since()}
	var end answer
	for round := 1; ; round++ {
		for _, a := range r.Attempts {
			a.try.strike()
		}
		p := c.plan(rude, round)
		sent := c.round(in, p, r.Attempts, send)
		r.Attempts = append(r.Attempts, sent...)
		last, known := settled(sent)
		end, r.Return = last.answer, last.To
		if known || p.goes || r.doubts() == 0 || round > resends {
			break
		}
	}
	r.Out = end.output
	c.note(sub, r)
	end.Result = r.Out.Result
	return end
}

// settled returns the answer that decides a round, and whether it is the outcome of the call. The answer "done" always
// is, whatever the other request of the round got. Of two locks the one found last counts.
func settled(sent []attempt) (a attempt, known bool) {
	for _, x := range sent {
		switch {
		case x.Result == done && a.Result == done:
			x.To = min(x.To, a.To)
			a, known = x, true
		case x.Result == done, !known && x.refused() && x.settles(sent):
			a, known = x, true
		case !known:
			a = x
		}
	}
	return a, known
}

// settles reports whether the refusal is valid for the round's other requests too, because they had begun before. A
// request that begins later is a new one for its proxy.
func (a attempt) settles(round []attempt) bool {
	return !slices.ContainsFunc(round, func(x attempt) bool { return x.doubtful() && (x.Begun == 0 || x.Begun >= a.Begun) })
}

// round sends the requests of a round, and returns when each is answered or its client has hung up.
func (c *client) round(in input, p plan, before []attempt, send sendFunc) []attempt {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	sent := make([]attempt, len(p.requests))
	for i := range sent {
		sent[i].target = c.pickTarget(ctx, before, sent[:i])
	}
	c.tally.round(len(before) > 0, len(sent))
	// If two requests are sent at once, the client hangs up one of them when the other is answered: it has its answer.
	twins, answered := context.WithCancel(ctx)
	defer answered()
	one := func(i int) {
		until := ctx
		if p.requests[i].twin {
			until = twins
		}
		sent[i] = c.sendOnce(until, sent[i].target, in, p.requests[i], send)
		if sent[i].Result != unknown && sent[i].Result != nothing {
			answered()
		}
	}
	var running sync.WaitGroup
	for i := range sent[1:] {
		running.Go(func() { one(i + 1) })
	}
	one(0)
	running.Wait()
	return sent
}

// sendOnce sends one request of a call, and hangs up if its mode says so.
func (c *client) sendOnce(ctx context.Context, d target, in input, m sendMode, send sendFunc) attempt {
	ctx, t := newTry(ctx)
	t.hangsUp = m.hangsUp || m.twin
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if m.hangsUp {
		watching.Go(func() {
			if m.begun {
				select {
				case <-t.begun:
				case <-ctx.Done():
					return
				}
			}
			if pause(ctx, m.after) {
				cancel()
			}
		})
	}
	store := d.now
	if in.Waits {
		store = d.waits
	}
	leave, began := d.enter(), time.Now()
	a := attempt{Proxy: d.name(), target: d, try: t, From: c.since()}
	var err error
	a.answer, err = send(ctx, store)
	a.To, a.Died = c.since(), leave()
	a.answer.Result = done
	if err != nil {
		a.answer = answer{output: output{Result: resultOf(err)}}
		a.Left = t.hangsUp && errors.Is(ctx.Err(), context.Canceled) && (a.answer.Result == unknown || a.answer.Result == nothing)
	}
	if a.Left {
		a.answer.Result = unknown
		c.tally.hungUp(in)
	} else {
		c.tally.answered(in, a.answer.Result, time.Since(began), a.Died, err)
	}
	if at := t.beganAt(); !at.IsZero() {
		a.Begun = int64(at.Sub(c.epoch))
	}
	a.Result = a.answer.Result
	if d.proxy != nil && a.Result != unknown && a.Result != nothing {
		if at := d.proxy.served.Swap(0); at != 0 {
			c.tally.resumed(time.Since(time.Unix(0, at)))
		}
	}
	return a
}

// pickTarget returns a random running proxy: one that the call has not used before, if there is one. It waits if none
// is running.
func (c *client) pickTarget(ctx context.Context, before, now []attempt) target {
	open := slices.DeleteFunc(slices.Clone(c.targets), target.closed)
	others := slices.DeleteFunc(slices.Clone(open), func(d target) bool {
		used := func(a attempt) bool { return a.target.now == d.now }
		return len(before) > 0 && used(before[len(before)-1]) || slices.ContainsFunc(now, used)
	})
	switch {
	case len(others) > 0:
		return others[c.random.IntN(len(others))]
	case len(open) > 0:
		return open[c.random.IntN(len(open))]
	}
	d := c.targets[c.random.IntN(len(c.targets))]
	select {
	case <-d.proxy.alive():
	case <-ctx.Done():
	}
	return d
}

// resultOf returns the result for an error.
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

// note adds the call to the history. A refusal means that no request of the call has had an effect or ever will. The
// call stays open forever only if its requests got no answer, or answers about a single request.
func (c *client) note(sub *subject, r record) {
	r.Tries = len(r.Attempts)
	doubts := r.doubts()
	if r.Out.Result == nothing {
		if doubts == 0 {
			return
		}
		r.Out.Result = unknown
	}
	if r.Out.Result == unknown && !r.In.mutates() {
		return
	}
	if r.Out.Result == unknown {
		c.tally.doubtful.Add(1)
		r.Return = forever
		sub.retireBusy() // a longer history is hard to search, and a lock may be held forever
	}
	if r.In.Verb == verbAcquire {
		if r.Out.Result == lockLost {
			doubts++ // the lock may have been granted to a request of the proxy itself whose answer was lost
		}
		for i := range doubts {
			c.noteGhost(sub, r, i)
		}
	}
	sub.note(r)
}

// noteGhost adds that an acquire may have been granted to a request whose client had hung up, and that the proxy then
// released the lock. These are two events at two times, both before the answer of the call.
func (c *client) noteGhost(sub *subject, r record, i int) {
	c.tally.ghosts.Add(1)
	ghost := record{Client: r.Client, In: input{Verb: verbAcquire, Lock: fmt.Sprintf("%s#%d", r.In.Lock, i)},
		Out: output{Result: unknown}, Call: r.Call, Return: r.Return, Tries: 1}
	sub.note(ghost)
	ghost.In.Verb = verbRelease
	sub.note(ghost)
	if r.Return != forever {
		ghost.In.Verb, ghost.Out.Result = verbNotHeld, done
		ghost.Call, ghost.Return = r.Return+1, r.Return+1
		sub.note(ghost)
	}
}

func (c *client) since() int64 { return int64(time.Since(c.epoch)) }
