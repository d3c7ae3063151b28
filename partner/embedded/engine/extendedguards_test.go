package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The guards of the extended procedures, one at a time: each scene has a row and recorded answers that allow the call,
// except for one thing.

// No guard prevents any verb of these scenes. In the other scenes only the tested guard does.
func TestGuards_nothing(t *testing.T) {
	created := map[string]int64{"create and lock": resultCreated, "re-create and lock": resultCreated, "re-create": resultCreated, "create": resultCreated}
	scenes := once(scene{name: "no guard applies", done: true}, writers, created)
	for _, verb := range []string{"read", "touch", "set the timeout", "give back"} {
		scenes = append(scenes, scene{name: "no guard applies", verb: verb, done: true})
	}
	playAll(t, scenes)
}

func TestGuards_timeAndEpoch(t *testing.T) {
	late := scene{name: "too late", args: values{"@notAfter": ago(time.Second)}, want: resultAgain}
	moved := scene{name: "another epoch", args: values{"@epoch": int64(7)}, want: resultMoved}
	none := scene{name: "no epoch", args: values{"@epoch": nil}, want: resultMoved}
	scenes := slices.Concat(once(late, writers, nil), once(moved, writers, nil), once(none, writers, nil))
	for _, verb := range []string{"read", "touch", "set the timeout", "give back"} {
		for _, s := range []scene{late, moved, none} {
			s.verb = verb
			if verb != "read" || s.want == resultMoved {
				scenes = append(scenes, s)
			}
		}
	}
	scenes = append(scenes,
		scene{verb: "read", name: "the item in another epoch", args: values{"@epoch": int64(7)}, want: resultMoved, tells: map[int]any{tellsItem: nil}},
		scene{verb: "acquire", name: "found again by another call, too late", row: held,
			args: values{"@op": op("lock"), "@call": op("second"), "@resent": int64(1), "@notAfter": ago(time.Second)}},
		scene{verb: "acquire", name: "found again by another call, in another epoch", row: held,
			args: values{"@op": op("lock"), "@call": op("second"), "@resent": int64(1), "@epoch": int64(7)}, want: resultMoved},
		// A late call gets the error for that, whatever else applies.
		scene{verb: "store", name: "too late, and the session exists", args: values{"@mode": int64(modeCreate), "@notAfter": ago(time.Second)}, want: resultAgain},
		scene{verb: "remove", name: "too late, and the session is locked", row: held, args: values{"@notAfter": ago(time.Second)}, want: resultAgain},
		scene{verb: "remove as holder", name: "too late, and the lock is lost", row: free, args: values{"@notAfter": ago(time.Second)}, want: resultAgain},
	)
	playAll(t, scenes)
}

func TestGuards_operation(t *testing.T) {
	zeros := make([]byte, 16)
	scenes := slices.Concat(
		once(scene{name: "no operation", args: values{"@op": nil}, want: resultAgain}, writers, nil),
		once(scene{name: "an operation of zeros", args: values{"@op": zeros}, want: resultAgain}, writers, nil))
	for _, none := range []any{nil, zeros} {
		scenes = append(scenes, scene{verb: "give back", name: "no operation", args: values{"@op": none, "@call": none}, row: values{"LockOperationId": zeros, "LockCallId": zeros}, want: resultLockLost})
	}
	playAll(t, scenes)
}

// A recorded answer is returned again, and nothing is done.
func TestGuards_answered(t *testing.T) {
	answer := func(name string, result int64) scene {
		return scene{name: name, args: values{"@call": op("call"), "@called": ago(time.Minute), "@sent": ago(0)},
			settled: []settled{{"op", "another", ago(45 * time.Second), result}}, want: result}
	}
	refused := answer("another call was refused since this call began", resultPrecondition)
	refused.row = values{"Settled": ago(45 * time.Second)}
	younger := answer("another call was refused, and the session was created since this call began", resultPrecondition)
	younger.row = values{"Created": ago(30 * time.Second)}
	done := answer("another call was done long ago", resultDone)
	done.settled[0].at = ago(5 * time.Minute)
	lost := map[string]int64{"acquire": resultLockLost, "create and lock": resultLockLost, "re-create and lock": resultLockLost}
	unknown := answer("another call was answered unknown long ago", resultUnknown)
	unknown.settled[0].at = ago(5 * time.Minute)
	made := answer("another call created the session long ago", resultCreated)
	made.settled[0].at = ago(5 * time.Minute)
	own := refused
	own.name, own.args = "an attempt of the same call was refused since this attempt was sent", values{"@call": op("another"), "@called": ago(time.Minute), "@sent": ago(50 * time.Second)}
	rows := []string{"acquire", "re-create and lock", "update", "release", "store", "re-create", "remove", "remove as holder"}
	only := refused // without the time when the call began
	only.name, only.args = "another call was refused since the only attempt was sent", values{"@call": op("call"), "@sent": ago(time.Minute)}
	scenes := slices.Concat(once(refused, rows, nil), once(only, rows, nil), once(younger, rows, nil), once(done, writers, lost), once(unknown, writers, lost), once(made, writers, lost), once(own, rows, nil))

	scenes = append(scenes, scene{verb: "store", name: "an attempt of the same call created the session since this attempt was sent, and this attempt would be refused", args: values{"@mode": int64(modeCreate), "@call": op("call"), "@sent": ago(time.Minute)},
		row: values{"Settled": ago(5 * time.Second)}, settled: []settled{{"op", "call", ago(5 * time.Second), resultCreated}}, want: resultCreated})

	// Entries that do not count.
	before := answer("another call was refused before this call began", resultDone)
	before.settled = []settled{{"op", "another", ago(2 * time.Minute), resultPrecondition}}
	before.done = true
	earlier := before
	earlier.name, earlier.args = "an attempt of the same call was refused before this attempt was sent", values{"@call": op("another"), "@called": ago(3 * time.Minute), "@sent": ago(0)}
	left := before
	left.name, left.settled = "another call was given back since", []settled{{"op", "another", ago(30 * time.Second), resultAgain}}
	created := map[string]int64{"create and lock": resultCreated, "re-create and lock": resultCreated, "re-create": resultCreated, "create": resultCreated}
	scenes = append(scenes, slices.Concat(once(before, writers, created), once(earlier, writers, created), once(left, writers, created))...)
	playAll(t, scenes)
}

// What the session has recorded, and what it has forgotten.
func TestGuards_ring(t *testing.T) {
	var scenes []scene
	for i := range 4 {
		in := scene{name: fmt.Sprint("remembered as done, place ", i+1), row: values{fmt.Sprint("OperationId", i+1): op("op")}}
		locked := with(in.row, values{"LockOperationId": op("other")})
		lost := map[string]int64{"acquire": resultLockLost, "re-create and lock": resultLockLost}
		scenes = append(scenes, once(in, []string{"update", "release", "store", "re-create"}, nil)...)
		in.row = locked
		scenes = append(scenes, once(in, []string{"acquire", "re-create and lock"}, lost)...)
	}
	scenes = append(scenes, once(scene{name: "the operation of the released lock", row: values{"LockOperationId": op("op"), "LockOperationCookie": int64(2)}, want: resultLockLost},
		[]string{"acquire", "re-create and lock"}, nil)...)
	forgotten := scene{name: "forgotten since the first attempt was sent", row: values{"OperationsForgotten": ago(30 * time.Second)},
		args: values{"@firstSent": ago(time.Minute), "@sent": ago(10 * time.Second)}, want: resultAgain}
	for _, s := range once(forgotten, []string{"update", "release", "store", "re-create"}, nil) {
		if s.args["@resent"] == int64(1) {
			s.want = resultUnknown
		}
		scenes = append(scenes, s)
	}
	sent := forgotten
	sent.name, sent.args = "forgotten since the attempt was sent", values{"@sent": ago(time.Minute)}
	scenes = append(scenes, once(sent, []string{"acquire", "re-create and lock"}, nil)...)
	before := scene{name: "forgotten before the attempt was sent", row: values{"OperationsForgotten": ago(2 * time.Minute)}, args: values{"@sent": ago(time.Minute)}, done: true}
	scenes = append(scenes, once(before, []string{"acquire", "re-create and lock", "update", "release", "store", "re-create"},
		map[string]int64{"re-create and lock": resultCreated, "re-create": resultCreated})...)
	playAll(t, scenes)
}

// An attempt does not change a session created after it was sent.
func TestGuards_young(t *testing.T) {
	young := scene{name: "created since the attempt was sent", row: values{"Created": ago(0)}, args: values{"@sent": ago(time.Minute)}, want: resultAgain}
	first := young // only the time of the first attempt is given
	first.name, first.args = "created since the first attempt was sent", values{"@sent": nil, "@firstSent": ago(time.Minute)}
	playAll(t, slices.Concat(once(young, []string{"acquire", "re-create and lock", "update", "release", "store", "re-create", "remove", "remove as holder"}, nil),
		once(first, []string{"update", "release", "store", "re-create"}, nil)))
}

// What was done to a session that has been removed since counts as done.
func TestGuards_removed(t *testing.T) {
	var scenes []scene
	for i := range 4 {
		ring := make([]op, 4)
		ring[i] = "op"
		done := scene{name: fmt.Sprint("remembered by a removed session, place ", i+1), removed: []tombstone{{at: ago(2 * time.Minute), created: ago(time.Hour), ring: ring}},
			args: values{"@call": op("call")}}
		lost := map[string]int64{"acquire": resultLockLost, "create and lock": resultLockLost, "re-create and lock": resultLockLost}
		scenes = append(scenes, once(done, []string{"acquire", "create and lock", "re-create and lock", "store", "re-create", "create"}, lost)...)
		done.row = nobody
		scenes = append(scenes, once(done, []string{"update", "release"}, nil)...)
	}
	since := scene{name: "removed since the first attempt was sent", removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}},
		args: values{"@firstSent": ago(time.Minute), "@sent": ago(10 * time.Second)}, want: resultNoSession}
	for _, s := range once(since, []string{"create and lock", "re-create and lock", "store", "re-create", "create"}, nil) {
		if s.args["@resent"] == int64(0) {
			continue
		}
		scenes = append(scenes, s)
	}
	playAll(t, scenes)
}

// Whether an update, or a release, that finds its lock lost was done before: what the row and the tombstones can show.
func TestGuards_wasItDone(t *testing.T) {
	unlocked := values{"Locked": int64(0), "LockOperationId": nil, "OperationId1": op("a"), "OperationId2": op("b")}
	sent := values{"@firstSent": ago(time.Minute), "@sent": ago(10 * time.Second), "@resent": int64(1)}
	first := with(sent, values{"@resent": int64(0), "@call": op("call"), "@called": ago(time.Minute)})
	forgot := with(unlocked, values{"OperationsForgotten": ago(30 * time.Second)})
	remembersLock := with(forgot, values{"OperationId3": op("lock")})
	tomb := func(at, created ago, forgotten any, ring ...op) []tombstone {
		return []tombstone{{at: at, created: created, ring: ring, forgotten: forgotten}}
	}
	var scenes []scene
	for _, verb := range []string{"update", "release"} {
		scenes = append(scenes,
			scene{name: "the session has forgotten nothing", row: unlocked, args: sent, want: resultLockLost},
			scene{name: "the session has forgotten operations before", row: with(unlocked, values{"OperationsForgotten": ago(2 * time.Minute)}), args: sent, want: resultLockLost},
			scene{name: "the session has forgotten operations since", row: forgot, args: sent, want: resultUnknown},
			scene{name: "the session has forgotten operations since, but remembers the acquire", row: remembersLock, args: sent, want: resultLockLost},
			scene{name: "the session was created since", row: with(unlocked, values{"Created": ago(30 * time.Second)}), args: sent, want: resultUnknown},
			scene{name: "there is no session", row: nobody, args: sent, want: resultUnknown},
			scene{name: "a first attempt", row: forgot, args: with(sent, values{"@resent": int64(0)}), want: resultLockLost},
			scene{name: "another call may have done it", row: forgot, args: first, want: resultUnknown},
			scene{name: "another call may have done it, but the session remembers the acquire", row: remembersLock, args: first, want: resultLockLost},
			scene{name: "there is no other call that may have done it", row: forgot, args: with(first, values{"@call": nil}), want: resultLockLost},
			scene{name: "another call can't have done it", row: with(unlocked, values{"OperationsForgotten": ago(2 * time.Minute)}), args: first, want: resultLockLost},
			scene{name: "removed since, and the session had forgotten nothing", row: nobody, removed: tomb(ago(30*time.Second), ago(time.Hour), nil), args: sent, want: resultLockLost},
			scene{name: "removed before", row: nobody, removed: tomb(ago(2*time.Minute), ago(time.Hour), nil), args: sent, want: resultUnknown},
			scene{name: "removed since, and created since", row: nobody, removed: tomb(ago(30*time.Second), ago(40*time.Second), nil), args: sent, want: resultUnknown},
			scene{name: "removed since, and the session had forgotten operations", row: nobody, removed: tomb(ago(30*time.Second), ago(time.Hour), ago(40*time.Second)), args: sent, want: resultUnknown},
			scene{name: "removed since, and the session had forgotten operations before", row: nobody, removed: tomb(ago(30*time.Second), ago(time.Hour), ago(2*time.Minute)), args: sent, want: resultLockLost},
			scene{name: "removed at any time, and the session remembered the acquire", row: nobody, removed: tomb(ago(2*time.Minute), ago(time.Hour), nil, "", "lock"), args: sent, want: resultLockLost},
		)
		for i := range scenes {
			if scenes[i].verb == "" {
				scenes[i].verb = verb
			}
		}
	}
	playAll(t, scenes)
}

// The holder is the caller with the operation and the cookie of a lock that is held with both.
func TestGuards_holder(t *testing.T) {
	var scenes []scene
	for _, verb := range []string{"update", "release", "remove as holder"} {
		scenes = append(scenes,
			scene{verb: verb, name: "released", row: values{"Locked": int64(0)}, want: resultLockLost},
			scene{verb: verb, name: "another's cookie", row: values{"LockCookie": int64(3)}, want: resultLockLost},
			scene{verb: verb, name: "the cookie of a lock of .NET", row: values{"LockCookie": int64(3)}, args: values{"@lockCookie": int64(3)}, want: resultLockLost},
			scene{verb: verb, name: "another's operation", row: values{"LockOperationId": op("other")}, want: resultLockLost},
			scene{verb: verb, name: "a grant with another cookie", row: values{"LockOperationCookie": int64(1)}, want: resultLockLost},
			scene{verb: verb, name: "expired, and the lock is abandoned", row: values{"Expires": ago(time.Minute), "LockDate": ago(time.Hour)}, done: true},
		)
	}
	grant := values{"@op": op("lock"), "@call": op("grant"), "@resent": int64(1)}
	again := with(grant, values{"@call": op("second")})
	for _, one := range []values{grant, again} {
		scenes = append(scenes,
			scene{verb: "acquire", name: "finds its lock again, released", args: one, row: with(held, values{"Locked": int64(0)}), want: resultLockLost},
			scene{verb: "acquire", name: "finds its lock again, under another cookie", args: one, row: with(held, values{"LockCookie": int64(3)}), want: resultLockLost},
			scene{verb: "acquire", name: "finds a lock of another operation", args: one, row: with(held, values{"LockOperationId": op("other")}), want: resultLockLost})
	}
	scenes = append(scenes,
		scene{verb: "acquire", name: "finds its lock again", args: grant, row: held},
		scene{verb: "acquire", name: "finds its lock again, and the operation created the session", args: grant, row: with(held, values{"MadeOperationId": op("lock")}), want: resultCreated},
		scene{verb: "acquire", name: "another call finds the lock again", args: again, row: held, done: true, after: values{"LockCallId": nil}},
		scene{verb: "acquire", name: "the call that gave the lock back finds it again", args: grant, row: held, settled: []settled{{"lock", "grant", 0, resultAgain}}, want: resultLockLost},
		scene{verb: "acquire", name: "another's lock", row: held, want: resultLocked},
		scene{verb: "acquire", name: "another's lock that is abandoned", row: with(held, values{"LockDate": ago(111 * time.Second)}), done: true},
		scene{verb: "acquire", name: "another's lock that is not abandoned yet", row: with(held, values{"LockDate": ago(100 * time.Second)}), want: resultLocked},
		scene{verb: "re-create and lock", name: "another's lock", args: values{"@resent": int64(1)}, row: values{"Locked": int64(1)}, want: resultLocked},
		scene{verb: "re-create and lock", name: "another's lock that is abandoned", row: values{"Locked": int64(1), "LockDate": ago(111 * time.Second)}, want: resultCreated, done: true},
		scene{verb: "store", name: "another's lock", row: held, want: resultLocked},
		scene{verb: "store", name: "another's lock that is abandoned", row: with(held, values{"LockDate": ago(111 * time.Second)}), done: true},
		scene{verb: "store", name: "another's lock that is not abandoned yet", row: with(held, values{"LockDate": ago(100 * time.Second)}), want: resultLocked},
		scene{verb: "remove", name: "another's lock", row: held, want: resultLocked},
		scene{verb: "remove", name: "another's lock that is abandoned", row: with(held, values{"LockDate": ago(111 * time.Second)}), done: true},
		scene{verb: "remove", name: "another's lock that is not abandoned yet", row: with(held, values{"LockDate": ago(100 * time.Second)}), want: resultLocked},
		scene{verb: "remove as holder", name: "nobody holds the lock", row: free, want: resultLockLost},
		scene{verb: "give back", name: "released", row: values{"Locked": int64(0)}, want: resultLockLost},
		scene{verb: "give back", name: "another's operation", row: values{"LockOperationId": op("other")}, want: resultLockLost},
		scene{verb: "give back", name: "another cookie", row: values{"LockCookie": int64(3)}, want: resultLockLost},
		scene{verb: "give back", name: "another call's", row: values{"LockCallId": op("other")}, want: resultLockLost},
		scene{verb: "give back", name: "found again by another call", row: values{"LockCallId": nil}, want: resultLockLost},
	)
	playAll(t, scenes)
}

// The item is returned with the lock that the acquire has, and with no other.
func TestGuards_found(t *testing.T) {
	again := values{"@op": op("lock"), "@call": op("grant"), "@resent": int64(1)}
	item, none := map[int]any{tellsItem: "item"}, map[int]any{tellsItem: nil}
	playAll(t, []scene{
		{verb: "acquire", name: "its own", args: again, row: held, tells: item},
		{verb: "acquire", name: "its own, in another epoch", args: with(again, values{"@epoch": int64(7)}), row: held, want: resultMoved, tells: none},
		{verb: "acquire", name: "released", args: again, row: with(held, values{"Locked": int64(0)}), want: resultLockLost, tells: none},
		{verb: "acquire", name: "another grant's", args: again, row: with(held, values{"LockCookie": int64(3)}), want: resultLockLost, tells: none},
		{verb: "acquire", name: "another's", row: held, want: resultLocked, tells: none},
	})
}
