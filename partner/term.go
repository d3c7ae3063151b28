package partner

import (
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// term is the period in which one partner is principal, as this proxy sees it. It ends when another principal
// is accepted, or the partner reports that it is no longer principal. Each term has its own connections, so
// no connection of an old term is used in a new one.
type term struct {
	member   *member
	extended bool
	epoch    int64
	sequence int64
	session  string
	pool     link.Pool
	began    time.Time // when this proxy accepted it, by its own clock

	held  hold.Term[*term] // the term in the hold
	ended atomic.Bool      // set before its connections are closed
}

// matches reports whether o is an observation of the same term. Unknown values, such as a NULL, match
// everything.
func (t *term) matches(o choose.Observation) bool {
	return t.member.name == o.Partner && t.extended == o.Extended && t.epoch == o.Epoch &&
		(o.InGroup || choose.Agree(t.sequence, o.Sequence)) && choose.Agree(t.session, o.Session) // the sequence number of a group also counts changes of its configuration
}

// end closes every connection of the term. Calls that wait on them end now.
func (t *term) end() {
	t.ended.Store(true)
	t.pool.Abort(link.ErrTermOver)
}
