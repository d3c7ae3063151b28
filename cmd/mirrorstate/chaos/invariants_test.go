package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// finding is a violation of the promise that a rule has found.
type finding struct {
	Kind string // lost, stale, double-grant, taken, after-refusal, held-by-nobody or unexplained
	Text string
}

// findings checks the history of one session. A write that the last read misses is lost; a write that an earlier read
// misses makes that read stale.
func findings(history []record) []finding {
	out := slices.Concat(doubleGrants(history), taken(history), unexplained(history), afterRefusals(history), heldByNobody(history))
	for i, r := range history {
		observes := r.Out.Result == done && (r.In.Verb == verbGet || r.In.Verb == verbAcquire)
		if observes || r.Out.Result == notFound {
			if missed := missedBy(r, history); missed != nil {
				kind := "stale"
				switch {
				case r.Out.Result == notFound && slices.ContainsFunc(history, func(x record) bool { return x.mayRemoveLate(r) }):
					kind = "after-refusal"
				case i == len(history)-1:
					kind = "lost"
				}
				out = append(out, finding{kind, fmt.Sprintf("%v was acknowledged, and then: %v", *missed, r)})
			}
		}
	}
	return out
}

// missedBy returns a change that the read should have seen: it was acknowledged before the read began, and it came
// after the item that the read saw. It returns nil if there is none.
func missedBy(read record, history []record) *record {
	origin := originsOf(read, history)
	for i := range history {
		y := &history[i]
		if y.Out.Result != done || y.Return >= read.Call || !changesItem(y.In) || slices.Contains(origin, i) {
			continue
		}
		after := func(i int) bool { x := history[i]; return x.Out.Result == done && x.Return < y.Call }
		// Before the first write there is no session, so a read that finds none has no origin.
		if !slices.ContainsFunc(origin, func(i int) bool { return !after(i) }) && sawOther(read, y.In) {
			return y
		}
	}
	return nil
}

// originsOf returns the indexes of the calls that may have stored what the read saw.
func originsOf(read record, history []record) (places []int) {
	for i, r := range history {
		if r.Out.Result != done && r.Out.Result != unknown {
			continue
		}
		stored := changesItem(r.In) && r.In.Verb != verbRemove
		if read.Out.Result == notFound && r.In.Verb == verbRemove || read.Out.Result == done && stored && r.In.Value == read.Out.Value {
			places = append(places, i)
		}
	}
	return places
}

func changesItem(in input) bool {
	return in.Verb == verbUpdate || in.Verb == verbPut || in.Verb == verbRemove
}

// sawOther reports whether the read saw something else than the result of the change.
func sawOther(read record, change input) bool {
	if change.Verb == verbRemove {
		return read.Out.Result != notFound
	}
	return read.Out.Result == notFound || read.Out.Value != change.Value
}

// tenure is the time during which a client knew that it held the lock: from the answer of its acquire to the call that
// released it.
type tenure struct {
	lock       string
	begin, end int64
}

// doubleGrants finds overlapping tenures of one session.
func doubleGrants(history []record) (out []finding) {
	var all []tenure
	for _, r := range history {
		if r.In.Verb == verbAcquire && r.Out.Result == done {
			all = append(all, tenure{lock: r.In.Lock, begin: r.Return, end: endOf(r, history)})
		}
	}
	slices.SortFunc(all, func(a, b tenure) int { return cmp.Compare(a.begin, b.begin) })
	for i := range all {
		for _, later := range all[i+1:] {
			if later.begin < all[i].end {
				out = append(out, finding{"double-grant", fmt.Sprintf("lock %s is held from %d to %d, and %s from %d",
					short(all[i].lock), all[i].begin, all[i].end, short(later.lock), later.begin)})
			}
		}
	}
	return out
}

// taken finds locks that a holder lost without releasing them: it is answered that the lock is lost.
func taken(history []record) (out []finding) {
	for _, grant := range history {
		if grant.In.Verb != verbAcquire || grant.Out.Result != done {
			continue
		}
		given := endOf(grant, history)
		for _, r := range history {
			if r.In.Lock == grant.In.Lock && r.Out.Result == lockLost && r.Call <= given {
				out = append(out, finding{"taken", fmt.Sprintf("%v, and then: %v", grant, r)})
			}
		}
	}
	return out
}

// endOf returns when the holder called to release its lock.
func endOf(grant record, history []record) int64 {
	end := int64(forever)
	for _, r := range history {
		if r.gives() && r.In.Lock == grant.In.Lock && r.Call >= grant.Return {
			end = min(end, r.Call)
		}
	}
	return end
}

// lateness is how long after its answer a request may still arrive at the servers. It is longer than any attempt.
const lateness = int64(6 * time.Second)

// mayRemoveLate reports whether the record is a removal that was refused shortly before the read.
func (r record) mayRemoveLate(read record) bool {
	refused := r.Out.Result == locked || r.Out.Result == lockLost
	return r.In.Verb == verbRemove && refused && r.Call <= read.Return && r.Return >= read.Call-lateness
}

// afterRefusals finds effects of refused calls: an item that they stored was read, or another request of the call,
// which had begun before, was answered "done".
func afterRefusals(history []record) (out []finding) {
	for i, r := range history {
		stores := r.In.Verb == verbUpdate || r.In.Verb == verbPut
		if stores && r.Out.Result != done && r.Out.Result != unknown {
			seen := func(x record) bool { return x.Out.Result == done && x.Out.Value == r.In.Value }
			if i := slices.IndexFunc(history, seen); i >= 0 {
				out = append(out, finding{"after-refusal", fmt.Sprintf("%v, and then: %v", r, history[i])})
			}
		}
		for _, no := range r.Attempts {
			before := func(yes attempt) bool {
				forgotten := yes.To <= no.To && othersBetween(history, i, yes.From, no.To) >= ringSize
				return yes.Result == done && yes.Begun > 0 && yes.Begun < no.Begun && !forgotten
			}
			if no.refused() && slices.ContainsFunc(r.Attempts, before) {
				out = append(out, finding{"after-refusal", fmt.Sprintf("one request was refused, but another one that had begun before was done: %v", r)})
			}
		}
	}
	return out
}

// heldByNobody finds answers "locked" at a time when no client can hold the lock, because all have released it.
func heldByNobody(history []record) (out []finding) {
	var all []tenure // each with its longest possible time
	for _, r := range history {
		if r.In.Verb != verbAcquire || r.Out.Result != done && r.Out.Result != unknown {
			continue
		}
		held := tenure{lock: r.In.Lock, begin: r.Call, end: forever}
		if r.Out.Result == unknown {
			held.end = r.Return
		}
		for _, x := range history {
			if x.In.Lock == r.In.Lock && x.gives() && x.Out.Result == done {
				held.end = min(held.end, x.Return)
			}
		}
		all = append(all, held)
	}
	for _, r := range history {
		during := func(h tenure) bool { return h.begin <= r.Return && h.end >= r.Call }
		if r.Out.Result == locked && !r.In.Waits && !slices.ContainsFunc(all, during) {
			out = append(out, finding{"held-by-nobody", r.String()})
		}
	}
	return out
}

// gives reports whether the call ends the tenure of its lock.
func (r record) gives() bool {
	return r.In.Verb == verbRelease || r.In.Verb == verbRemove || r.In.Verb == verbUpdate && !r.In.Keep
}

// ringSize is the number of operations that a session remembers. slack is the largest error of a proxy's estimate of a
// server's clock.
const (
	ringSize = 4
	slack    = int64(20 * time.Millisecond)
	// relaySlack is the same with relays, which delay the answers from which a proxy reads a server's clock.
	relaySlack = int64(time.Second)
)

// unexplained finds answers "unknown" that are wrong: the session has had too few other operations meanwhile to forget
// this one.
func unexplained(history []record) (out []finding) {
	for i, r := range history {
		for _, doubt := range r.Attempts {
			if !doubt.answeredUnknown() {
				continue
			}
			others := othersBetween(history, i, r.Call, doubt.To)
			if others < ringSize {
				out = append(out, finding{"unexplained", fmt.Sprintf("%v is unknown, but the session has had only %d other operations", r, others)})
			}
		}
	}
	return out
}

// othersBetween counts the other operations that may have taken places in the session's ring between two times, and so
// may have displaced the call at i.
func othersBetween(history []record, i int, from, to int64) (others int) {
	slack := slack
	if *relayFlag {
		slack = relaySlack
	}
	for j, o := range history {
		switch {
		case i == j || o.Return < from-slack || o.Call > to:
		case o.In.Net && (o.In.Verb == verbRemove || o.In.Verb == verbPut) && (o.Out.Result == done || o.Out.Result == unknown):
			return ringSize // a removed session loses its ring; a session that .NET created may have replaced a removed one
		case remembered(o):
			others += o.Tries
		}
	}
	return others
}

// readBefore returns the first answer with the item of a refused write, if it came before the refusal; nil if there is
// none.
func readBefore(history []record, r record) *record {
	i := slices.IndexFunc(history, func(x record) bool {
		return x.Out.Result == done && x.Out.Value == r.In.Value && x.Return <= r.Return
	})
	if i < 0 {
		return nil
	}
	return &history[i]
}

// withoutForgotten returns the history without refusals that are wrong for an allowed reason: one request of the call
// was carried out, but the session may have forgotten it when the next request arrived. A client's retry is only
// recognised as long as the session remembers it.
func withoutForgotten(history []record) []record {
	out := slices.Clone(history)
	for i, r := range history {
		if r.In.OnlyCreate && r.Out.Result == precondition && removedByNet(history, r) {
			// It may have been carried out, and another client may have created the session again before the retry.
			out[i].Out.Result, out[i].Return = unknown, forever
			continue
		}
		stores := r.In.Verb == verbUpdate || r.In.Verb == verbPut
		ends := r.Out.Result == lockLost && (r.In.Verb == verbUpdate || r.In.Verb == verbRelease)
		if r.Tries < 2 || r.Out.Result == done || r.Out.Result == unknown || othersBetween(history, i, r.Call, r.Return) < ringSize {
			continue
		}
		if ends || stores && readBefore(history, r) != nil {
			out[i].Out.Result, out[i].Return = unknown, forever
		}
	}
	return out
}

// removedByNet reports whether .NET may have removed the session while the call was under way.
func removedByNet(history []record, r record) bool {
	return slices.ContainsFunc(history, func(o record) bool {
		return o.In.Net && o.In.Verb == verbRemove && o.Out.Result != nothing && o.Call < r.Return && o.Return > r.Call
	})
}

// remembered reports whether the call may have taken a place in the session's ring.
func remembered(r record) bool {
	return (r.Out.Result == done || r.Out.Result == unknown) && r.In.mutates() && r.In.Verb != verbRemove && r.In.Verb != verbNotHeld && !r.In.Net
}
