package partner

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// errExposed is why a write waits, or ends, where ExposedRefuse is set.
var errExposed = errors.New("the principal does not say that its mirror is SYNCHRONIZED under FULL, and writes are refused until it does (pair.exposed: refuse)")

// mirrored is asked after a call was carried out on t. Where writes are refused while the
// mirror is away, a write is not answered before a probe that began after its commit has found the
// principal SYNCHRONIZED: then the mirror has the commit, whatever happened meanwhile. If
// the principal is another by then, the call is sent again, and finds out there what became of it.
// A write that waits in vain is on the principal, and perhaps on no other.
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
	return classify.Permanent, r.callError(ErrOutcomeUnknown)
}

// refusesExposed reports whether writes wait while the principal is exposed.
func (p *Pair) refusesExposed() bool { return p.cfg.Exposed == ExposedRefuse }

// mirrors returns nil once t's partner, asked from now on, says that its mirror has
// everything; errTermOver once t is not the current term.
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
