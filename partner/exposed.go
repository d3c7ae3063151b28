package partner

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// errExposed is the reason why a write waits or ends under ExposedRefuse.
var errExposed = errors.New("the principal does not report that its mirror is SYNCHRONIZED under FULL, and writes are refused until it does (pair.exposed: refuse)")

// awaitMirror waits, after a call was executed on t, until the mirror has its commit. It does so only for
// writes under ExposedRefuse.
//
// If a probe that began after the commit finds the principal SYNCHRONIZED, the mirror has the commit. If the
// principal has changed, the class is Moved: the call is sent again and finds its result on the new principal. If
// the time is over first, the outcome is unknown: perhaps only the principal has the write.
func (r *run) awaitMirror(ctx context.Context, t *term) (classify.Class, error) {
	if !r.p.refusesExposed() || !r.state.Call().Write {
		return classify.Permanent, nil
	}
	r.unanswered, r.att.Resent = true, true
	wait, cancel := context.WithDeadline(ctx, r.deadline())
	defer cancel()
	err := r.p.waitForMirror(wait, t)
	switch {
	case err == nil:
		r.unanswered = false
		return classify.Permanent, nil
	case errors.Is(err, link.ErrTermOver):
		return classify.Moved, fmt.Errorf("wait for the mirror of %s: %w", t.member.name, err)
	case ctx.Err() != nil:
		return classify.CallerGone, fmt.Errorf("%w: %w", errExposed, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		err = errExposed
	}
	r.lastErr = err
	return classify.Permanent, r.callError(OutcomeUnknown)
}

// refusesExposed reports whether writes wait while the principal is exposed.
func (p *Pair) refusesExposed() bool { return p.cfg.Exposed == ExposedRefuse }

// waitForMirror returns nil when a probe that begins from now on finds that the mirror of t's partner has every
// commit. It returns ErrTermOver if t has ended.
func (p *Pair) waitForMirror(ctx context.Context, t *term) error {
	n, i := p.probeRequests.Add(1), t.member.name.Index()
	t.member.probeNow()
	err := p.await(ctx, false, func(v choose.View) bool {
		return t.ended.Load() || v.Observed[i].Request >= n && v.Observed[i].MirrorSynchronized()
	})
	if err == nil && t.ended.Load() {
		return link.ErrTermOver
	}
	return err
}
