package partner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// attempt runs the op once on t and reports the result to the meter.
func (r *run) attempt(ctx context.Context, t *term) (class classify.Class, err error) {
	m := r.p.cfg.Meter
	if m == nil {
		return r.throughBreaker(ctx, t)
	}
	began, resent := time.Now(), r.att.Resent
	class, err = r.throughBreaker(ctx, t)
	m.Attempted(ctx, AttemptEnd{
		Label: r.label, Partner: t.member.name, Epoch: t.epoch, Number: r.att.Number, Resent: resent,
		Began: began, Ended: time.Now(), Class: class, Err: err,
	})
	return class, err
}

// throughBreaker runs one attempt through the partner's breaker.
func (r *run) throughBreaker(ctx context.Context, t *term) (class classify.Class, err error) {
	allowed := false
	rejected := t.member.breaker.run(func() (struct{}, error) {
		allowed = true
		var phase classify.Phase
		phase, err = r.runOp(ctx, t)
		if err == nil {
			return struct{}{}, nil
		}
		class = r.classOf(ctx, t, phase, err)
		return struct{}{}, breakerError(t, class, err)
	})
	if !allowed {
		return classify.Down, rejected
	}
	return class, err
}

// runOp checks out a connection, runs the op once and releases the connection. It limits the time by cancelling
// the context, and not by a deadline. This needs one context less, and the driver keeps a connection whose
// cancel request was answered.
func (r *run) runOp(ctx context.Context, t *term) (phase classify.Phase, err error) {
	r.att.Number++
	end, ours := r.timeLimit(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var limit *attemptTimer
	if ours {
		limit = &attemptTimer{end: end, latest: r.latestEnd(), cancel: cancel}
		limit.start()
		defer limit.stop()
	}
	defer r.p.queue.Done()
	l, err := r.checkOut(ctx, cancel, t)
	if err != nil {
		return classify.Connecting, err
	}
	if limit != nil {
		limit.watch(l)
	}
	broken := true // unless the op returns normally
	defer func() {
		if broken {
			cancel(nil) // closes rows that the op left open, for which the release would wait
		}
		l.Release(broken)
	}()
	sent := r.fillAttempt(t, l.Conn(), end)
	t.member.calls.Sent(sent)
	err = r.op(ctx, &r.att)
	if err == nil && (r.state.Call().Write || t.extended) && !t.ended.Load() {
		t.member.calls.Succeeded(sent) // a read on a stock schema may have been answered by a copy
	}
	if err != nil && l.Broke() && !classify.FromServer(err) && classify.Classify(err, classify.Executing) == classify.Permanent {
		err = fmt.Errorf("%w: %w", errConnectionBroke, err) // the driver may return a mere text for an incomplete answer
	}
	broken = err != nil && classify.Fatal(err)
	return classify.Executing, err
}

// errConnectionBroke means that the connection broke during the attempt.
var errConnectionBroke = fmt.Errorf("the connection broke: %w", io.ErrUnexpectedEOF)

// timeLimit returns the time at which an attempt that begins now ends, unless a long answer is arriving. ours is
// false if that is the caller's deadline. The caller's deadline counts even if the item needs more time: every
// request ends by its deadline.
func (r *run) timeLimit(ctx context.Context) (end time.Time, ours bool) {
	end = time.Now().Add(attemptTime(r.p.cfg.Budgets.Attempt, r.state.Call().Bytes))
	if g := r.deadline(); g.Before(end) {
		end = g
	}
	if d, ok := ctx.Deadline(); ok && !d.After(end) {
		return d, false
	}
	return end, true
}

// latestEnd returns the latest time at which an attempt that begins now ends, however long its answer is.
func (r *run) latestEnd() time.Time {
	end := time.Now().Add(MaxAttempt)
	if g := r.deadline(); g.Before(end) {
		return g
	}
	return end
}

// fillAttempt sets the fields of the Attempt for the op. It returns the time at which the attempt is sent: now.
func (r *run) fillAttempt(t *term, c *sql.Conn, end time.Time) (now time.Time) {
	now = time.Now()
	if !r.att.Resent {
		r.firstSent = now
	}
	r.att.Partner, r.att.Conn, r.att.pair, r.att.term = t.member.name, c, r.p, t
	r.att.Epoch, r.att.Extended = t.epoch, t.extended
	clock := t.member.clock.Load()
	r.att.Sent, r.att.NotAfter = clock.earliest(now), clock.earliest(end)
	r.att.FirstSent = r.att.Sent
	if r.att.Resent { // it may have been executed on the other partner, and dated by that clock
		r.att.FirstSent = r.p.earliest(r.firstSent)
	}
	return now
}

// classOf returns the class of an attempt's error. It corrects the result of classify.Classify, because it knows
// whose context ended. It also records whether the attempt may have been executed.
func (r *run) classOf(ctx context.Context, t *term, phase classify.Phase, err error) classify.Class {
	if phase == classify.Connecting && errors.Is(err, hold.ErrFull) {
		return classify.Permanent // this process refused the call, not the partner
	}
	class := classify.Classify(err, phase)
	silent := class == classify.CallerGone || class == classify.Down || class == classify.Ambiguous
	if silent && phase == classify.Executing {
		r.att.Resent = true
		r.unanswered = r.unanswered || r.state.Call().Write
	}
	switch {
	case ctx.Err() != nil && (silent || class == classify.Again && phase == classify.Connecting):
		return classify.CallerGone
	case silent && phase == classify.Executing:
		return classify.Ambiguous // also if this process closed the connection
	case silent && t.ended.Load():
		return classify.Moved
	case class == classify.CallerGone:
		return classify.Down
	}
	return class
}

// breakerError returns the error that the breaker counts for the attempt; nil means that the partner was reached.
func breakerError(t *term, class classify.Class, err error) error {
	switch {
	case class == classify.CallerGone, t.ended.Load(), errors.Is(err, classify.ErrPoolBusy), errors.Is(err, hold.ErrFull):
		return errNotCounted
	case class == classify.Down, class == classify.Ambiguous:
		return errUnreachable
	}
	return nil
}

// checkOut checks out a connection of t. While all are in use, the call waits in the queue.
func (r *run) checkOut(ctx context.Context, cancel context.CancelCauseFunc, t *term) (link.Lease, error) {
	p := r.p
	defer p.queued.Add(-1)
	p.queued.Add(1)
	pl, err := p.queue.Enter(r.state.Call(), r.att.Resent, cancel)
	if err != nil {
		return nil, err
	}
	l, err := t.pool.Get(ctx, cancel)
	refused := pl.Leave()
	if refused == nil {
		return l, err
	}
	if err == nil {
		l.Release(false) // nothing was sent on it
	}
	return nil, refused
}
