package embedded

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// sweepProcedures are those of 50-extension-sweep.sql.
var sweepProcedures = []*procedure{
	{name: "MirrorState_Sweep_1", run: sweep, params: []parameter{paramEpoch, paramNotAfter, {name: "@owner", typ: tds.Binary(16)},
		{name: "@lease", typ: tds.Int}, {name: "@limit", typ: tds.Int}, {name: "@abandoned", typ: tds.Int}}},
}

var sweepAnswer = []tds.Column{
	{Name: "Result", Type: tds.Int}, {Name: "Deleted", Type: tds.Int}, {Name: "Abandoned", Type: tds.Int}, {Name: "Oldest", Type: tds.Int},
	{Name: "LastRun", Type: tds.DateTime2(7)}, {Name: "DeletedEver", Type: tds.BigInt}, {Name: "SinceRun", Type: tds.Int},
}

// resultOthers is what a sweep answers whose caller has not got the lease.
const resultOthers = 9

// leaseSlack is by how many seconds a lease may end later than in twice the caller's own; one that
// does was taken by a clock that was set back since.
const leaseSlack = 60

func sweep(t *transaction, a arguments) (*result, error) {
	epoch, notAfter, owner, lease, limit, abandoned := a[0], a[1], a[2], a[3], a[4], a[5]
	e := t.epochRow()
	if e == nil {
		return noRow(sweepAnswer), nil
	}
	s, err := t.sweepRow()
	if err != nil {
		return nil, err
	}
	if owner.ok && owner.op() == zeroOperation {
		owner = argument{}
	}
	free := s != nil && (!owner.ok || lease.ok) && (!owner.ok || s.owner.is(owner.op()) || s.leased.null() || s.leased <= t.clock ||
		lease.ok && s.leased > t.clock.addSeconds(2*lease.n+leaseSlack))
	leads := free && inTime(t, notAfter) && epoch.is(e.epoch)
	var gone sweepings
	if leads {
		next := *s
		if owner.ok {
			next.owner, next.leased = owner.op(), t.clock.addSeconds(lease.n)
		}
		if limit.ok && limit.n > 0 {
			next.lastRun = t.clock
			if gone, err = t.deleteDue(int(limit.n), abandoned); err != nil {
				return nil, err
			}
			next.deleted += int64(gone.deleted)
		}
		t.put(&next)
		s = &next
	}
	outcome := int64(resultOthers)
	switch {
	case leads:
		outcome = resultDone
	case !epoch.is(e.epoch):
		outcome = resultMoved
	case late(t, notAfter):
		outcome = resultAgain
	}
	if s == nil {
		return rowAnswer(sweepAnswer, outcome, 0, 0, nil, nil, nil, nil), nil
	}
	return rowAnswer(sweepAnswer, outcome, gone.deleted, gone.abandoned, gone.oldest, s.lastRun.value(), s.deleted, s.lastRun.secondsUntil(t.clock)), nil
}

// sweepings are what one sweep deleted.
type sweepings struct {
	deleted, abandoned int
	oldest             any // how long ago the oldest had expired, in seconds; nil: there was none
}

// deleteDue is the DELETE. What calls of the same group did to a row is looked at again.
func (t *transaction) deleteDue(limit int, abandoned argument) (out sweepings, err error) {
	before := firstDate // NULL: no lock counts as abandoned
	if abandoned.ok {
		before = t.now.addSeconds(-abandoned.n)
	}
	due, err := t.from.dueBy(t.now, before, limit)
	for _, d := range due {
		key := foldKey(d.id)
		if r, changed := t.seen(tableSessions, key); changed {
			s, _ := r.(*sessionRow)
			if s == nil || s.expires > t.now || s.locked && s.lockDate > before {
				continue
			}
		}
		if out.oldest == nil {
			out.oldest = d.expires.secondsUntil(t.now)
		}
		if d.locked {
			out.abandoned++
		}
		out.deleted++
		t.own = append(t.own, change{table: tableSessions, key: key})
	}
	return out, err
}

// sweepRow reads the row of the sweeper's lease; nil if there is none.
func (t *transaction) sweepRow() (*sweepRow, error) {
	r, ok := t.seen(tableSweep, sweepKey)
	if !ok {
		var err error
		if r, err = t.from.row(tableSweep, sweepKey); err != nil {
			return nil, err
		}
	}
	s, _ := r.(*sweepRow)
	return s, nil
}
