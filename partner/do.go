package partner

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// The bounds of running a call again.
const (
	againLimit = 10                     // times on the same partner after a deadlock or the like
	backoffMin = time.Millisecond       // first pause, before jitter
	backoffMax = 100 * time.Millisecond // longest pause
)

// Do runs op on the principal, as often as it takes, and returns nil when it
// returned nil.
//
// It returns a *HoldFullError, a *CallError of kind ErrNoPrincipal (time over,
// nothing done), ErrBusy (time over in the queue for a partner that serves, nothing
// done), ErrOutcomeUnknown (a write was sent and never answered), ErrClosed
// or the caller's context error, and otherwise op's own permanent error as it
// is. OutcomeOf answers for every one of them. Without a deadline in ctx a call
// ends after the hold's window and one attempt at the latest.
func (p *Pair) Do(ctx context.Context, c Call, op func(ctx context.Context, a *Attempt) error) error {
	r := &run{p: p, label: c.Label, op: op, began: time.Now()}
	r.pass = hold.NewPass[*term](hold.Call{Caller: c.Caller, HoldsLock: c.HoldsLock, Write: c.Write, Bytes: c.Bytes})
	defer r.pass.Leave()
	for {
		t, err := r.door(ctx)
		if err != nil {
			return r.finish(ctx, err)
		}
		r.pass.Start(&t.turn)
		seen := t.turn.Times()
		class, err := r.attempt(ctx, t)
		p.hold.Completed(&r.pass)
		if err == nil {
			class, err = r.mirrored(ctx, t)
		}
		if err == nil {
			return nil
		}
		r.last = err
		switch class {
		case classify.Permanent:
			return r.answer(class, err)
		case classify.CallerGone:
			return r.finish(ctx, ctx.Err())
		case classify.Again:
			if r.again++; r.again > againLimit {
				return r.answer(class, err)
			}
			if errors.Is(err, driver.ErrBadConn) {
				t.pool.Purge() // it was broken while it was idle, and so may be all the others
			}
			if errors.Is(err, classify.ErrLate) && r.again == 3 {
				p.wake() // its clock may be another than the last probe read
			}
		default:
			r.troubles++
			p.doubt(t, seen, class, err)
		}
		if err := r.rest(ctx, class); err != nil {
			return r.finish(ctx, err)
		}
	}
}

// run is one call on its way.
type run struct {
	p     *Pair
	label string
	op    func(ctx context.Context, a *Attempt) error

	began    time.Time
	waiting  time.Time // when it first had to wait for a principal; zero: never
	pass     hold.Pass[*term]
	try      Attempt
	firstOut time.Time // when the first attempt that may have been executed was sent, on our clock
	open     bool      // a write was sent and nobody knows what became of it
	again    int
	troubles int
	last     error
}

// giveUp is when the call ends at the latest: after the window, and an attempt that
// began just before.
func (r *run) giveUp() time.Time {
	return r.began.Add(r.p.cfg.Hold.Window + attemptTime(r.p.cfg.Budgets.Attempt, r.pass.Call().Bytes))
}

// door gives the term to run on: at once, or out of the hold.
func (r *run) door(ctx context.Context) (*term, error) {
	if t := r.p.hold.Ready(&r.pass); t != nil {
		return t.On, nil
	}
	now := time.Now()
	if r.waiting.IsZero() {
		r.waiting = now
	}
	limit := min(r.waiting.Add(r.p.cfg.Hold.Window).Sub(now), r.giveUp().Sub(now))
	t, err := r.p.hold.Wait(ctx, &r.pass, limit, r.try.Resent)
	if errors.Is(err, hold.ErrTurn) && r.troubles > 1 {
		err = hold.ErrExpired // what is principal to a probe has not been one to this call, again and again
	}
	if m := r.p.cfg.Meter; m != nil && (err != nil || r.pass.Released()) {
		m.Held(ctx, HoldEnd{Label: r.label, Waited: time.Since(now), Outcome: hold.OutcomeOf(err)})
	}
	if err != nil {
		return nil, fromHold(err)
	}
	return t.On, nil
}

// fromHold returns the pair's error for an error of the hold.
func fromHold(err error) error {
	switch {
	case errors.Is(err, hold.ErrExpired):
		return ErrNoPrincipal
	case errors.Is(err, hold.ErrTurn):
		return ErrBusy
	case errors.Is(err, hold.ErrClosed):
		return ErrClosed
	}
	return err
}

// rest pauses before the next attempt: after a first trouble not at all, for
// the hold does that better.
func (r *run) rest(ctx context.Context, class classify.Class) error {
	n := r.again + r.troubles
	if class != classify.Again && r.troubles < 2 {
		return nil
	}
	d := min(backoffMin<<min(n, 10), backoffMax)
	d = d/2 + rand.N(d)
	if time.Now().Add(d).After(r.giveUp()) {
		return ErrNoPrincipal
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.p.closed:
		return ErrClosed
	}
}

// answer ends a call with an error of the op's own. Only if an earlier attempt
// is still open, and this error is not the op's considered word but the server's,
// a failed login's, or a refusal that ran out of tries, it says so.
func (r *run) answer(class classify.Class, err error) error {
	_, atLogin := errors.AsType[*link.LoginError](err)
	if r.open && (classify.FromServer(err) || atLogin || class == classify.Again || errors.Is(err, hold.ErrFull)) {
		return r.end(ErrOutcomeUnknown)
	}
	if errors.Is(err, classify.ErrPoolBusy) {
		return r.end(ErrBusy)
	}
	return err
}

// finish ends a call that has no answer.
func (r *run) finish(ctx context.Context, why error) error {
	switch {
	case errors.Is(why, hold.ErrFull):
		return why
	case errors.Is(why, context.Canceled):
		return r.end(context.Cause(ctx))
	case errors.Is(why, ErrClosed) && !r.open:
		return r.end(ErrClosed)
	case r.open:
		return r.end(ErrOutcomeUnknown)
	}
	if errors.Is(why, context.DeadlineExceeded) {
		r.last = errors.Join(r.last, why)
	}
	// The call ended in the hold, or waiting for one of the principal's connections.
	if errors.Is(why, ErrBusy) || errors.Is(r.last, classify.ErrPoolBusy) && r.p.hold.Serves(r.pass.Call()) {
		return r.end(ErrBusy)
	}
	if r.p.refusesExposed() && r.pass.Call().Write && r.p.hold.Serving() != nil {
		r.last = errors.Join(r.last, errExposed)
	}
	return r.end(ErrNoPrincipal)
}

// end makes the error that says how far the call came.
func (r *run) end(kind error) error {
	e := &CallError{Label: r.label, Attempts: r.try.Number, Held: time.Since(r.began), Kind: kind, Cause: r.last}
	if r.open {
		e.Result = Unknown
	}
	return e
}

// doubt is called when t disappointed a call that saw it confirmed for the
// seen-th time: nobody starts on it again before a probe, begun now, confirms it.
func (p *Pair) doubt(t *term, seen uint64, class classify.Class, err error) {
	if class == classify.Down || class == classify.Ambiguous {
		t.member.suspect.Store(true)
	}
	if !p.hold.Doubt(&t.turn, seen, func() uint64 { return p.asked.Add(1) }) {
		return
	}
	if class == classify.Ambiguous && brokeOff(err) {
		t.pool.Purge() // where one connection broke, the idle ones are suspects
	}
	p.inTrouble()
}

// brokeOff says whether the connection ended, rather than the patience.
func brokeOff(err error) bool {
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF)
}
