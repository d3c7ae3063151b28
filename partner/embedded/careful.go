package embedded

import (
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// attempt is what the mutations are told of how they were sent. Source:
// 40-extension-sessions.sql, whose way through a call this file follows.
type attempt struct {
	op, call, sent, firstSent, called argument
	resent                            bool
	settle                            argument
	since                             argument // COALESCE(@firstSent, @sent)
	careful                           bool
	answered                          argument // what another attempt was answered; not ok: nothing
	own                               bool     // it was one of the same call
}

// The parameters of an attempt that callers may leave out.
var (
	paramSentLater = parameter{name: "@sent", typ: tds.DateTime2(7), optional: true}
	paramFirstSent = parameter{name: "@firstSent", typ: tds.DateTime2(7), optional: true}
	paramResent    = parameter{name: "@resent", typ: tds.Bit, optional: true, value: argument{ok: true}}
	paramCall      = parameter{name: "@call", typ: tds.Binary(16), optional: true}
	paramCalled    = parameter{name: "@called", typ: tds.DateTime2(7), optional: true}
	paramWaited    = parameter{name: "@waited", typ: tds.DateTime, optional: true}
	paramSettle    = parameter{name: "@settle", typ: tds.Int, optional: true, value: argument{ok: true}}
)

// attemptOf takes them together: an id of zeros is none, and one call of an operation is the operation.
func attemptOf(op, sent, firstSent, resent, call, called, settle argument) attempt {
	a := attempt{op: op, call: call, sent: sent, firstSent: firstSent, called: called,
		resent: resent.is(1), settle: settle, since: firstSent, careful: resent.is(1)}
	if a.op.ok && a.op.op() == zeroOperation {
		a.op = argument{}
	}
	if !a.call.ok {
		a.call = a.op
	}
	if !a.sent.ok {
		a.sent = firstSent
	}
	if !a.called.ok {
		a.called = a.sent
	}
	if !a.since.ok {
		a.since = a.sent
	}
	return a
}

// coarse is how much earlier a datetime may read than the moment it was taken at.
const coarse = 10 * time.Millisecond

// before is d < DATEADD(millisecond, -10, @moment).
func (d datetime) before(moment argument) bool {
	return !d.null() && moment.ok && d.time().Before(moment.date2().time().Add(-coarse))
}

// quiet is the condition under which an attempt need not be careful: the session is older than the
// call, and nothing was settled on it since.
func (a *attempt) quiet(s *sessionRow) bool {
	if a.sent.ok && s.created.time().After(a.sent.date2().time().Add(coarse)) {
		return false // certainly made after this was sent: a straggler is not meant for it
	}
	return a.careful || s.created.before(a.called) && (s.settled.null() || a.called.ok && s.settled < a.called.date2())
}

// shared is @call <> @op: other calls may have this operation.
func (a *attempt) shared() bool { return a.op.ok && a.call.op() != a.op.op() }

// alone is @careful = 0 AND @call = @op: nobody else can have sent this operation.
func (a *attempt) alone() bool { return !a.careful && a.op.ok && !a.shared() }

// enter is MirrorState_Enter_1. That nobody else writes the session goes without saying here.
func (a *attempt) enter(t *transaction) error {
	a.answered, a.own = argument{}, false
	if !a.op.ok {
		return nil
	}
	all, err := t.settledOf(a.op.op())
	var latest datetime2
	for _, r := range all {
		bound := a.called
		if r.call == a.call.op() {
			bound = a.sent
		} else if r.result == resultAgain {
			continue
		}
		if (r.decided() || bound.ok && r.settled >= bound.date2()) && (!a.answered.ok || r.settled > latest) {
			a.answered, a.own, latest = argument{ok: true, n: int64(r.result)}, r.call == a.call.op(), r.settled
		}
	}
	return err
}

// decided reports whether what the call was answered holds for the operation for ever: that it is done, or
// that its outcome is unknown.
func (r *settledRow) decided() bool {
	return r.result == resultDone || r.result == resultCreated || r.result == resultUnknown
}

// decided reports whether another call of the operation has decided it.
func (a *attempt) decided(t *transaction) (bool, error) {
	if !a.shared() {
		return false, nil
	}
	all, err := t.settledOf(a.op.op())
	return slices.ContainsFunc(all, (*settledRow).decided), err
}

// settledSwept is how many old entries a new one sweeps away.
const settledSwept = 4

// settleAs is MirrorState_Settle_1.
func (a *attempt) settleAs(t *transaction, id argument, outcome int64) error {
	clock := clockNow()
	old, err := t.from.settledBefore(clock.addMinutes(-tombstoneMinutes), settledSwept)
	if err != nil {
		return err
	}
	t.put(&settledRow{op: a.op.op(), call: a.call.op(), settled: clock, result: int32(outcome)})
	if s, err := t.session(id); err != nil {
		return err
	} else if s != nil {
		changed := *s
		changed.settled = clock
		t.put(&changed)
	}
	for _, r := range old {
		t.remove(r)
	}
	return nil
}

// binds reports whether the outcome, for which nothing was done now, binds the operation's other calls: not
// that the session is locked, where the call waits for the lock.
func (a *attempt) binds(outcome int64) bool {
	return a.settle.is(1) || a.settle.is(2) && outcome != resultLocked
}

// idle ends the careful way with an outcome for which nothing was done now: it is entered if it answers
// what may come again.
func (a *attempt) idle(t *transaction, id argument, outcome int64) error {
	if !a.op.ok || a.answered.ok && a.own || !a.resent && !a.binds(outcome) {
		return nil
	}
	return a.settleAs(t, id, outcome)
}

// done ends a mutation that took effect.
func (a *attempt) done(t *transaction, id argument, outcome int64, r *result, err error) (*result, error) {
	if err == nil && a.resent {
		err = a.settleAs(t, id, outcome)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// settledOf reads what calls of the operation were answered, as the group and the call left it.
func (t *transaction) settledOf(op operation) (all []*settledRow, err error) {
	found, err := t.from.settledOfOperation(op)
	for _, r := range found {
		if _, changed := t.seen(tableSettled, r.key()); !changed {
			all = append(all, r)
		}
	}
	t.each(tableSettled, func(r row) {
		if s := r.(*settledRow); s.op == op {
			all = append(all, s)
		}
	})
	return all, err
}

// innerProcedures are those that the verbs call; anybody may who has the right.
var innerProcedures = []*procedure{
	{name: "MirrorState_Enter_1", run: enterSession, params: []parameter{paramID, paramOp, {name: "@call", typ: tds.Binary(16)}, paramSent,
		{name: "@called", typ: tds.DateTime2(7)}, {name: "@answered", typ: tds.Int, output: true}, {name: "@own", typ: tds.Bit, output: true}}},
	{name: "MirrorState_Settle_1", run: settleSession, params: []parameter{paramID, paramOp, {name: "@call", typ: tds.Binary(16)},
		{name: "@result", typ: tds.Int}}},
}

func enterSession(t *transaction, args arguments) (*result, error) {
	a := attemptOf(args[1], args[3], argument{}, argument{}, args[2], args[4], argument{})
	err := a.enter(t)
	r := &result{outputs: make([]any, len(args))}
	if a.answered.ok {
		r.outputs[5], r.outputs[6] = a.answered.n, a.own
	}
	return r, err
}

func settleSession(t *transaction, args arguments) (*result, error) {
	a := attemptOf(args[1], argument{}, argument{}, argument{}, args[2], argument{}, argument{})
	if !a.op.ok {
		return nil, nullColumn("OperationId", tableSettled, "INSERT")
	}
	return &result{}, a.settleAs(t, args[0], args[3].n)
}

// giveBack is MirrorState_GiveBack_1.
func giveBack(t *transaction, args arguments) (*result, error) {
	id, epoch, notAfter, instead := args[0], args[1], args[2], args[5]
	a := attemptOf(args[3], argument{}, argument{}, argument{}, args[4], argument{}, argument{})
	c, err := look(t, id, epoch, argument{})
	if err != nil {
		return nil, err
	}
	if c.e == nil {
		return noRow(columnsWithoutItem), nil
	}
	outcome, mayAct := int64(resultLockLost), c.sameEpoch && inTime(t, notAfter) && a.op.ok
	switch {
	case c.moved:
		outcome = resultMoved
	case late(t, notAfter):
		outcome = resultAgain
	case mayAct && c.s != nil && c.s.heldByItself(a.op) && c.s.lockCall.is(a.call.op()):
		outcome = resultDone
		s := *c.s
		s.locked, s.lockOp, s.lockCall = false, "", ""
		s.flags |= s.lockActionFlags.n
		if i := slices.Index(s.ops[:], a.op.op()); i >= 0 {
			s.ops[i] = instead.op()
		}
		t.put(&s)
	}
	if mayAct {
		if err := a.settleAs(t, id, resultAgain); err != nil {
			return nil, err
		}
		if c.s, err = t.session(id); err != nil {
			return nil, err
		}
	}
	return notApplied(t, outcome, c.s)
}

// heldByItself is: locked, with the cookie that the operation was granted.
func (s *sessionRow) heldByItself(op argument) bool {
	return op.ok && s.locked && s.lockOp.is(op.op()) && s.lockOpCookie.ok && s.lockOpCookie.n == s.lockCookie
}
