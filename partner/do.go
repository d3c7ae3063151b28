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
	retryLimit = 10                     // times on the same partner after a deadlock or the like
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
	r.state = hold.NewCallState[*term](hold.Call{Caller: c.Caller, HoldsLock: c.HoldsLock, Write: c.Write, Bytes: c.Bytes})
	defer r.state.Finish()
	for {
		t, err := r.waitForTerm(ctx)
		if err != nil {
			return r.noAnswer(ctx, err)
		}
		r.state.Start(&t.held)
		seen := t.held.Openings()
		class, err := r.attempt(ctx, t)
		p.hold.AttemptDone(&r.state)
		if err == nil {
			class, err = r.awaitMirror(ctx, t)
		}
		if err == nil {
			return nil
		}
		r.lastErr = err
		switch class {
		case classify.Permanent:
			return r.opError(class, err)
		case classify.CallerGone:
			return r.noAnswer(ctx, ctx.Err())
		case classify.Again:
			if r.retries++; r.retries > retryLimit {
				return r.opError(class, err)
			}
			if errors.Is(err, driver.ErrBadConn) {
				t.pool.CloseIdle() // it was broken while it was idle, and so may be all the others
			}
			if errors.Is(err, classify.ErrLate) && r.retries == 3 {
				p.probeNow() // its clock may be another than the last probe read
			}
		default:
			r.failures++
			p.doubt(t, seen, class, err)
		}
		if err := r.backOff(ctx, class); err != nil {
			return r.noAnswer(ctx, err)
		}
	}
}

// run is one call on its way.
type run struct {
	p     *Pair
	label string
	op    func(ctx context.Context, a *Attempt) error

	began        time.Time
	waitingSince time.Time // when it first had to wait for a principal; zero: never
	state        hold.CallState[*term]
	att          Attempt
	firstSent    time.Time // when the first attempt that may have been executed was sent, on our clock
	unanswered   bool      // a write was sent and nobody knows what became of it
	retries      int
	failures     int
	lastErr      error
}

// giveUp is when the call ends at the latest: after the window, and an attempt that
// began just before.
func (r *run) deadline() time.Time {
	return r.began.Add(r.p.cfg.Hold.Window + attemptTime(r.p.cfg.Budgets.Attempt, r.state.Call().Bytes))
}

// door gives the term to run on: at once, or out of the hold.
func (r *run) waitForTerm(ctx context.Context) (*term, error) {
	if t := r.p.hold.OpenTerm(&r.state); t != nil {
		return t.Target, nil
	}
	now := time.Now()
	if r.waitingSince.IsZero() {
		r.waitingSince = now
	}
	limit := min(r.waitingSince.Add(r.p.cfg.Hold.Window).Sub(now), r.deadline().Sub(now))
	t, err := r.p.hold.Wait(ctx, &r.state, limit, r.att.Resent)
	if errors.Is(err, hold.ErrBusy) && r.failures > 1 {
		err = hold.ErrExpired // what is principal to a probe has not been one to this call, again and again
	}
	if m := r.p.cfg.Meter; m != nil && (err != nil || r.state.Released()) {
		m.Held(ctx, HoldEnd{Label: r.label, Waited: time.Since(now), Outcome: hold.OutcomeOf(err)})
	}
	if err != nil {
		return nil, fromHold(err)
	}
	return t.Target, nil
}

// fromHold returns the pair's error for an error of the hold.
func fromHold(err error) error {
	switch {
	case errors.Is(err, hold.ErrExpired):
		return ErrNoPrincipal
	case errors.Is(err, hold.ErrBusy):
		return ErrBusy
	case errors.Is(err, hold.ErrClosed):
		return ErrClosed
	}
	return err
}

// rest pauses before the next attempt: after a first trouble not at all, for
// the hold does that better.
func (r *run) backOff(ctx context.Context, class classify.Class) error {
	n := r.retries + r.failures
	if class != classify.Again && r.failures < 2 {
		return nil
	}
	d := min(backoffMin<<min(n, 10), backoffMax)
	d = d/2 + rand.N(d)
	if time.Now().Add(d).After(r.deadline()) {
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
func (r *run) opError(class classify.Class, err error) error {
	_, atLogin := errors.AsType[*link.LoginError](err)
	if r.unanswered && (classify.FromServer(err) || atLogin || class == classify.Again || errors.Is(err, hold.ErrFull)) {
		return r.callError(ErrOutcomeUnknown)
	}
	if errors.Is(err, classify.ErrPoolBusy) {
		return r.callError(ErrBusy)
	}
	return err
}

// finish ends a call that has no answer.
func (r *run) noAnswer(ctx context.Context, why error) error {
	switch {
	case errors.Is(why, hold.ErrFull):
		return why
	case errors.Is(why, context.Canceled):
		return r.callError(context.Cause(ctx))
	case errors.Is(why, ErrClosed) && !r.unanswered:
		return r.callError(ErrClosed)
	case r.unanswered:
		return r.callError(ErrOutcomeUnknown)
	}
	if errors.Is(why, context.DeadlineExceeded) {
		r.lastErr = errors.Join(r.lastErr, why)
	}
	// The call ended in the hold, or waiting for one of the principal's connections.
	if errors.Is(why, ErrBusy) || errors.Is(r.lastErr, classify.ErrPoolBusy) && r.p.hold.Serves(r.state.Call()) {
		return r.callError(ErrBusy)
	}
	if r.p.refusesExposed() && r.state.Call().Write && r.p.hold.Serving() != nil {
		r.lastErr = errors.Join(r.lastErr, errExposed)
	}
	return r.callError(ErrNoPrincipal)
}

// end makes the error that says how far the call came.
func (r *run) callError(kind error) error {
	e := &CallError{Label: r.label, Attempts: r.att.Number, Held: time.Since(r.began), Kind: kind, Cause: r.lastErr}
	if r.unanswered {
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
	if !p.hold.Doubt(&t.held, seen, func() uint64 { return p.probeRequests.Add(1) }) {
		return
	}
	if class == classify.Ambiguous && connectionBroke(err) {
		t.pool.CloseIdle() // where one connection broke, the idle ones are suspects
	}
	p.startSearch()
}

// brokeOff says whether the connection ended, rather than the patience.
func connectionBroke(err error) bool {
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF)
}
