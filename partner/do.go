package partner

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// The bounds for retries of a call.
const (
	retryLimit = 10                     // retries on the same partner after a deadlock or a similar error
	backoffMin = time.Millisecond       // the first pause, before jitter
	backoffMax = 100 * time.Millisecond // the longest pause, before jitter
)

// Do runs op on the principal until op returns nil or an error that a retry cannot change. It retries after a
// failover, a lost connection, a deadlock and the like. Safe for concurrent use.
//
// It returns nil, or one of these:
//
//   - op's own error, or the server's, if its class is Permanent;
//   - a *HoldFullError: too many calls wait already, and this one was not executed;
//   - a *CallError of kind NoPrincipal: no partner was principal in time, and the call was not executed;
//   - a *CallError of kind Busy: a partner is principal, but too many calls waited, and this one was not executed;
//   - a *CallError of kind OutcomeUnknown: a write was sent and never answered;
//   - a *CallError of kind Closed, or with the cause of ctx.
//
// OutcomeOf says for each of them what became of the call. If ctx has no deadline, the call ends after the
// hold's window and one attempt at the latest.
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
		openings := t.held.Openings()
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
				t.pool.CloseIdle() // the connection broke while it was idle, so other idle ones may be broken too
			}
			if errors.Is(err, classify.ErrLate) && r.retries == 3 {
				p.probeNow() // a new probe reads the partner's clock again
			}
		default:
			r.failures++
			p.doubt(t, openings, class, err)
		}
		if err := r.backOff(ctx, class); err != nil {
			return r.noAnswer(ctx, err)
		}
	}
}

// run is one call in Do.
type run struct {
	p     *Pair
	label string
	op    func(ctx context.Context, a *Attempt) error

	began        time.Time // when Do was called
	waitingSince time.Time // when the call first had to wait for a principal; zero if never
	state        hold.CallState[*term]
	att          Attempt
	firstSent    time.Time // when the first attempt that may have been executed was sent, by this process's clock
	unanswered   bool      // a write was sent, and its outcome is unknown
	retries      int       // attempts that ended with class Again
	failures     int       // attempts that ended with class Moved, Down, Wait or Ambiguous
	lastErr      error     // of the last attempt; nil before the first has ended
}

// deadline returns the latest time at which the call ends: after the hold's window, and one attempt that began
// just before the end of the window.
func (r *run) deadline() time.Time {
	return r.began.Add(r.p.cfg.Hold.Window + attemptTime(r.p.cfg.Budgets.Attempt, r.state.Call().Bytes))
}

// waitForTerm returns the term to run on. If calls are held, it waits in the hold.
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
		err = hold.ErrExpired // probes found a principal, but attempts on it failed again and again
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
		return NoPrincipal
	case errors.Is(err, hold.ErrBusy):
		return Busy
	case errors.Is(err, hold.ErrClosed):
		return Closed
	}
	return err
}

// backOff waits before the next attempt. After the first failure it does not wait: the call waits in the hold.
func (r *run) backOff(ctx context.Context, class classify.Class) error {
	n := r.retries + r.failures
	if class != classify.Again && r.failures < 2 {
		return nil
	}
	d := min(backoffMin<<min(n, 10), backoffMax)
	d = d/2 + rand.N(d)
	if time.Now().Add(d).After(r.deadline()) {
		return NoPrincipal
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.p.closed:
		return Closed
	}
}

// opError returns the result of a call whose attempt ended with op's own error, or with that of the server. If
// an earlier attempt may have been executed, the outcome is unknown, unless op itself decided on the error.
func (r *run) opError(class classify.Class, err error) error {
	_, atLogin := errors.AsType[*link.LoginError](err)
	if r.unanswered && (classify.FromServer(err) || atLogin || class == classify.Again || errors.Is(err, hold.ErrFull)) {
		return r.callError(OutcomeUnknown)
	}
	if errors.Is(err, classify.ErrPoolBusy) {
		return r.callError(Busy)
	}
	return err
}

// noAnswer returns the error of a call that ended without an answer. why is the error that ended the call.
func (r *run) noAnswer(ctx context.Context, why error) error {
	switch {
	case errors.Is(why, hold.ErrFull):
		return why
	case errors.Is(why, context.Canceled):
		return r.cancelled(context.Cause(ctx))
	case errors.Is(why, Closed) && !r.unanswered:
		return r.callError(Closed)
	case r.unanswered:
		return r.callError(OutcomeUnknown)
	}
	if errors.Is(why, context.DeadlineExceeded) {
		r.lastErr = errors.Join(r.lastErr, why)
	}
	// The call ended in the hold, or while it waited for a connection to the principal.
	if errors.Is(why, Busy) || errors.Is(r.lastErr, classify.ErrPoolBusy) && r.p.hold.Serves(r.state.Call()) {
		return r.callError(Busy)
	}
	if r.p.refusesExposed() && r.state.Call().Write && r.p.hold.Serving() != nil {
		r.lastErr = errors.Join(r.lastErr, errExposed)
	}
	return r.callError(NoPrincipal)
}

// cancelled returns the *CallError of a call whose context was cancelled.
func (r *run) cancelled(cause error) error {
	if r.lastErr != nil {
		cause = fmt.Errorf("%w: %w", cause, r.lastErr)
	}
	r.lastErr = cause
	return r.callError(Cancelled)
}

// callError returns the *CallError of this call.
func (r *run) callError(kind Kind) error {
	e := &CallError{Label: r.label, Attempts: r.att.Number, Held: time.Since(r.began), Kind: kind, Cause: r.lastErr}
	if r.unanswered {
		e.Result = Unknown
	}
	return e
}

// doubt shuts the hold after an attempt on t failed, and starts the search for a principal. No call starts on t
// before a probe that begins now confirms t. openings is the number of openings of t that the attempt had seen: if
// the hold has opened to t again since, doubt does nothing more.
func (p *Pair) doubt(t *term, openings uint64, class classify.Class, err error) {
	if class == classify.Down || class == classify.Ambiguous {
		t.member.suspect.Store(true)
	}
	if !p.hold.Doubt(&t.held, openings, func() uint64 { return p.probeRequests.Add(1) }) {
		return
	}
	if class == classify.Ambiguous && connectionBroke(err) {
		t.pool.CloseIdle() // if one connection broke, the idle ones may be broken too
	}
	p.startSearch()
}

// connectionBroke reports whether err means that the connection broke, and not that the time was over.
func connectionBroke(err error) bool {
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF)
}
