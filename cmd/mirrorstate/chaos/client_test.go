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

// callTimeout is how long a client waits for one answer: longer than any proxy may take.
const callTimeout = 60 * time.Second

// resends is how often a client sends a call again whose outcome it does not know,
// with the same operation id, as everybody should.
const resends = 3

// door is a proxy as a client sees it.
type target struct {
	now   session.Store // calls that meet a lock fail at once
	waits session.Store // they queue for it, for lockWait
	proxy *instance     // nil: a store in this process

	waiting func(time.Duration) session.Store // queues so long
}

// closed tells whether the proxy is dead, or about to end, so that a balancer sends it nothing.
func (d target) closed() bool { return d.proxy != nil && d.proxy.current() == nil }

// name is the proxy's.
func (d target) name() string {
	if d.proxy == nil {
		return ""
	}
	return d.proxy.app
}

// enter notes that a call begins there; leave says whether the proxy was killed meanwhile: one that
// ends in order answers.
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

// client does what web servers do, at random. It belongs to one goroutine.
type client struct {
	number  int
	waits   int // every so manieth call queues for a lock, on average; 0: none
	rude    int // every so manieth mutation is sent as rude clients do, on average; 0: none
	random  *rand.Rand
	targets []target // of each proxy; every call takes one at random
	plans   []plan   // of the next rounds, where a test wants them so; then as they come
	tally   *tally
	epoch   time.Time // when the run began
	seq     int
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

// answer is what one request is answered.
type answer struct {
	output
	lock session.Lock // of an acquire that was granted
}

// sendFunc sends a call's request, with the same operation id each time. Any number of goroutines may use it.
type sendFunc func(ctx context.Context, st session.Store) (answer, error)

// call sends one call, round by round while its outcome is unknown, and notes what became of it.
// A round is one request, or two at the same moment to two proxies. The next goes to another proxy
// than the last, if there is one.
func (c *client) call(sub *subject, in input, send sendFunc) answer {
	// A read beside the holder has nothing to wait for, and a wait says less: who did
	// not get its turn is told "locked" for what was seen last.
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

// settled is what a round says of its call, and whether that is the call's outcome. Done is, whatever
// another request of the round was answered; the lock that was found last is the lock.
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

// settles tells whether the refusal speaks for the round's other requests: for those that had begun
// before. One that begins later is a new one to its proxy.
func (a attempt) settles(round []attempt) bool {
	return !slices.ContainsFunc(round, func(x attempt) bool { return x.doubtful() && (x.Begun == 0 || x.Begun >= a.Begun) })
}

// round sends a round's requests, and returns when each is answered or its client has hung up.
func (c *client) round(in input, p plan, before []attempt, send sendFunc) []attempt {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	sent := make([]attempt, len(p.requests))
	for i := range sent {
		sent[i].target = c.pickTarget(ctx, before, sent[:i])
	}
	c.tally.round(len(before) > 0, len(sent))
	// Of two that are sent at once, the one that is not answered yet is hung up on when the other is: a client that
	// has its answer waits for nothing more.
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

// sendOnce sends a request of a call, and hangs up if that is its manner.
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

// door is a proxy at random of those that live, another than the last ones if there is one; it waits
// for one, if none lives.
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

// note adds the call to the history. A refusal says that none of the call's requests has done
// anything, or ever will. Only what said nothing at all leaves the call open for ever: no answer, or
// one that speaks of its own request alone.
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
		sub.retireBusy() // what comes then is hard to search, and a lock may be held for ever
	}
	if r.In.Verb == verbAcquire {
		if r.Out.Result == lockLost {
			doubts++ // granted to a request of the proxy's own that lost its answer
		}
		for i := range doubts {
			c.noteGhost(sub, r, i)
		}
	}
	sub.note(r)
}

// noteGhost adds that an acquire may have been granted to a request whose client had hung up, and
// was given back then: two things, each at its own time, and both before the call was answered.
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
