package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The effects of the extended procedures when no guard prevents them: what they write, return and record.

// The entries of MirrorStateSettled: the answer to a call that was sent again, which binds the other calls of the
// operation.
func TestGuards_entered(t *testing.T) {
	call := values{"@call": op("call"), "@called": ago(time.Minute), "@sent": ago(10 * time.Second)}
	resent, settles, waits := with(call, values{"@resent": int64(1)}), with(call, values{"@settle": int64(1)}), with(call, values{"@settle": int64(2)})
	var scenes []scene
	for verb, result := range map[string]int64{"acquire": 0, "update": 0, "release": 0, "store": 0, "create": resultCreated, "create and lock": resultCreated, "re-create and lock": resultCreated} {
		scenes = append(scenes,
			scene{verb: verb, name: "done, sent again", args: resent, want: result, done: true, enters: map[op]int64{"call": result}},
			scene{verb: verb, name: "done", args: settles, want: result, done: true, enters: map[op]int64{}},
			scene{verb: verb, name: "refused before, done now", args: resent, want: result, done: true, settled: []settled{{"op", "call", ago(2 * time.Minute), resultLocked}},
				enters: map[op]int64{"call": result}},
			scene{verb: verb, name: "too late, sent again", args: with(resent, values{"@notAfter": ago(time.Second)}), want: resultAgain, enters: map[op]int64{}},
			scene{verb: verb, name: "in another epoch, sent again", args: with(resent, values{"@epoch": int64(7)}), want: resultMoved, enters: map[op]int64{}})
	}
	for _, verb := range []string{"remove", "remove as holder"} {
		scenes = append(scenes,
			scene{verb: verb, name: "done, sent again", args: resent, done: true, enters: map[op]int64{}}, // the tombstone shows it
			scene{verb: verb, name: "too late, sent again", args: with(resent, values{"@notAfter": ago(time.Second)}), want: resultAgain, enters: map[op]int64{}},
			scene{verb: verb, name: "in another epoch, sent again", args: with(resent, values{"@epoch": int64(7)}), want: resultMoved, enters: map[op]int64{}})
	}
	lost := values{"LockCookie": int64(3)}
	for _, s := range []scene{
		{verb: "acquire", row: held, want: resultLocked}, {verb: "store", row: held, want: resultLocked}, {verb: "remove", row: held, want: resultLocked},
		{verb: "acquire", row: nobody, want: resultNoSession}, {verb: "update", row: lost, want: resultLockLost}, {verb: "release", row: lost, want: resultLockLost},
		{verb: "remove as holder", row: lost, want: resultLockLost}, {verb: "remove", row: nobody}, {verb: "store", args: values{"@mode": int64(modeCreate)}, want: resultPrecondition},
		{verb: "update", row: values{"OperationId3": op("op")}}, {verb: "release", row: values{"OperationId3": op("op")}}, {verb: "store", row: values{"OperationId3": op("op")}},
	} {
		args := s.args
		play := func(name string, more values, answers map[op]int64, before ...settled) {
			one := s
			one.name, one.args, one.enters, one.settled = fmt.Sprintf("answered %d %s", s.want, name), with(args, more), answers, before
			scenes = append(scenes, one)
		}
		play("sent again", resent, map[op]int64{"call": s.want})
		play("binding other calls", settles, map[op]int64{"call": s.want})
		play("binding no other call", call, map[op]int64{})
		if s.want == resultLocked {
			play("while the call waits for the lock", waits, map[op]int64{})
		} else {
			play("although the call waits for the lock", waits, map[op]int64{"call": s.want})
		}
		if s.want != resultDone { // for done the row or a tombstone decides first
			play("again to the same call", resent, map[op]int64{"call": s.want}, settled{"op", "call", ago(5 * time.Second), s.want})
			play("again to another call", resent, map[op]int64{"other": s.want, "call": s.want}, settled{"op", "other", ago(5 * time.Second), s.want})
		}
	}
	unknown := with(resent, values{"@firstSent": ago(time.Minute)})
	for _, verb := range []string{"update", "release", "store"} {
		scenes = append(scenes, scene{verb: verb, name: "unknown", args: unknown, row: values{"OperationsForgotten": ago(30 * time.Second)}, want: resultUnknown, enters: map[op]int64{"call": resultUnknown}})
	}
	scenes = append(scenes, scene{verb: "give back", name: "recorded as given back", done: true, enters: map[op]int64{"grant": resultAgain}},
		scene{verb: "give back", name: "recorded as given back, although there was no lock", row: nobody, want: resultLockLost, enters: map[op]int64{"grant": resultAgain}},
		scene{verb: "give back", name: "too late", args: values{"@notAfter": ago(time.Second)}, want: resultAgain, enters: map[op]int64{}},
		scene{verb: "give back", name: "in another epoch", args: values{"@epoch": int64(7)}, want: resultMoved, enters: map[op]int64{}})
	playAll(t, scenes)
}

// The newest of two answers counts.
func TestGuards_newestAnswer(t *testing.T) {
	args := values{"@call": op("call"), "@called": ago(time.Minute), "@sent": ago(0), "@resent": int64(1)}
	playAll(t, []scene{
		{verb: "store", name: "the second of two", args: args, settled: []settled{{"op", "first", ago(30 * time.Second), resultLocked}, {"op", "second", ago(20 * time.Second), resultPrecondition}}, want: resultPrecondition},
		{verb: "store", name: "the first of two", args: args, settled: []settled{{"op", "first", ago(20 * time.Second), resultLocked}, {"op", "second", ago(30 * time.Second), resultPrecondition}}, want: resultLocked},
	})
}

// Each new entry deletes a few old entries.
func TestGuards_entriesAreSwept(t *testing.T) {
	p := openPair(t).Partner("a")
	entries := func() (n int64) {
		t.Helper()
		if err := p.Main().Store.Read(func(r *storage.Reader) (err error) {
			n, err = r.Number("SELECT COUNT(*) FROM MirrorStateSettled")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var old []settled
	for i := range 6 {
		old = append(old, settled{op(fmt.Sprint("old", i)), "call", ago(11 * time.Minute), resultLocked})
	}
	young := settled{"young", "call", ago(9 * time.Minute), resultLocked}
	s := scene{verb: "store", args: values{"@resent": int64(1)}, settled: append(old, young), done: true}
	s.play(t, p)
	if n := entries(); n != 4 {
		t.Errorf("%d entries, want two old ones, the young one and that of the call", n)
	}
	s.settled = nil
	s.play(t, p)
	if n := entries(); n != 3 {
		t.Errorf("%d entries, want the young one and those of the two calls", n)
	}
}

// What reads and touches renew.
func TestGuards_renewed(t *testing.T) {
	inSeconds := values{"Timeout": int64(2), "TimeoutSeconds": int64(90)}
	minutesSince := values{"Timeout": int64(5), "TimeoutSeconds": int64(90)} // .NET has set the minutes
	live, abandoned := values{"Locked": int64(1)}, values{"Locked": int64(1), "LockDate": ago(111 * time.Second)}
	beside := values{"@allowLocked": int64(1)}
	item, noItem := map[int]any{tellsItem: "item"}, map[int]any{tellsItem: nil}
	scenes := []scene{
		{verb: "read", name: "without renewal", args: values{"@renew": int64(0)}, tells: item},
		{verb: "read", name: "without the item", args: values{"@item": int64(0)}, done: true, tells: noItem},
		{verb: "read", name: "of a locked session", row: live, want: resultLocked, tells: noItem},
		{verb: "read", name: "of a session whose lock is not abandoned yet", row: values{"Locked": int64(1), "LockDate": ago(100 * time.Second)}, want: resultLocked, tells: noItem},
		{verb: "read", name: "of a locked session, with @allowLocked", row: live, args: beside, done: true, left: 21 * time.Minute, tells: item},
		{verb: "read", name: "of an expired locked session, with @allowLocked", row: with(over, live), args: beside, done: true, left: 21 * time.Minute, tells: item},
		{verb: "read", name: "of a session with an abandoned lock", row: abandoned, done: true, left: 21 * time.Minute, tells: item},
		{verb: "read", name: "of an expired session", row: over, want: resultNoSession, tells: noItem},
		{verb: "read", name: "of an expired session, with @allowLocked", row: over, args: beside, want: resultNoSession, tells: noItem},
		{verb: "read", name: "of an expired session with an abandoned lock", row: with(over, abandoned), args: beside, want: resultNoSession, tells: noItem},
		{verb: "read", name: "of a session that does not exist", row: nobody, want: resultNoSession},
		{verb: "touch", name: "of a session that does not exist", row: nobody, want: resultNoSession},
		{verb: "set the timeout", name: "of a session that does not exist", row: nobody, want: resultNoSession},
		{verb: "set the timeout", name: "late", row: values{"TimeoutDate": ago(30 * time.Second)}, args: values{"@sent": ago(time.Minute)}, want: resultAgain},
		{verb: "set the timeout", name: "of a session created since", row: values{"Created": ago(30 * time.Second)}, args: values{"@sent": ago(time.Minute)}, want: resultAgain},
		{verb: "set the timeout", name: "late, of an expired locked session", row: with(over, values{"Locked": int64(1), "TimeoutDate": ago(30 * time.Second)}), args: values{"@sent": ago(time.Minute)}, want: resultAgain},
		{verb: "set the timeout", name: "without the time of sending", args: values{"@sent": nil}, want: resultAgain},
		{verb: "set the timeout", name: "after an earlier change", row: with(inSeconds, values{"TimeoutDate": ago(2 * time.Minute)}), args: values{"@sent": ago(time.Minute)}, done: true, left: 30 * time.Minute,
			after: values{"Timeout": int64(30), "TimeoutSeconds": nil, "TimeoutDate": recent{}}, tells: map[int]any{tellsTimeout: int64(30)}},
		{verb: "set the timeout", name: "in seconds", args: values{"@timeout": int64(2), "@timeoutSeconds": int64(90)}, done: true, left: 90 * time.Second,
			after: values{"Timeout": int64(2), "TimeoutSeconds": int64(90), "TimeoutDate": recent{}}, tells: map[int]any{tellsTimeout: int64(-90)}},
		{verb: "touch", name: "without a timeout", row: with(inSeconds, values{"TimeoutDate": ago(2 * time.Minute), "Expires": ago(-time.Minute)}), done: true, left: 90 * time.Second,
			after: values{"Timeout": int64(2), "TimeoutSeconds": int64(90), "TimeoutDate": ago(2 * time.Minute)}},
	}
	for _, verb := range []string{"read", "touch"} {
		scenes = append(scenes,
			scene{verb: verb, name: "a session that is due", done: true, left: 21 * time.Minute, tells: map[int]any{tellsTimeout: int64(20)}},
			scene{verb: verb, name: "a session that is not due", row: values{"Expires": ago(-20*time.Minute - 30*time.Second)}},
			scene{verb: verb, name: "a session that is due, timeout in seconds", row: with(inSeconds, values{"Expires": ago(-80 * time.Second)}), done: true, left: 90 * time.Second, tells: map[int]any{tellsTimeout: int64(-90)}},
			scene{verb: verb, name: "a session that is not due, timeout in seconds", row: with(inSeconds, values{"Expires": ago(-110 * time.Second)})},
			scene{verb: verb, name: "a session that is due, minutes set by .NET", row: with(minutesSince, values{"Expires": ago(-100 * time.Second)}), done: true, left: 315 * time.Second})
	}
	for _, verb := range []string{"touch", "set the timeout"} {
		scenes = append(scenes,
			scene{verb: verb, name: "an expired session", row: over, want: resultNoSession},
			scene{verb: verb, name: "an expired session that is locked", row: with(over, live), done: true},
			scene{verb: verb, name: "an expired session with an abandoned lock", row: with(over, abandoned), want: resultNoSession},
			scene{verb: verb, name: "an expired session whose lock is not abandoned yet", row: with(over, values{"Locked": int64(1), "LockDate": ago(100 * time.Second)}), done: true})
	}
	playAll(t, scenes)
}

// What each verb writes.
func TestGuards_written(t *testing.T) {
	ring := values{"OperationId1": op("a"), "OperationId2": op("b"), "OperationId3": op("c"), "OperationId4": op("d"),
		"OperationDate1": ago(10 * time.Minute), "OperationDate2": ago(20 * time.Minute), "OperationDate3": ago(30 * time.Minute), "OperationDate4": ago(40 * time.Minute),
		"OperationsForgotten": ago(50 * time.Minute)}
	shifted := values{"OperationId1": op("op"), "OperationId2": op("a"), "OperationId3": op("b"), "OperationId4": op("c"),
		"OperationDate1": recent{}, "OperationDate2": ago(10 * time.Minute), "OperationDate3": ago(20 * time.Minute), "OperationDate4": ago(30 * time.Minute),
		"OperationsForgotten": ago(40 * time.Minute)}
	three := values{"OperationId4": nil, "OperationDate4": nil, "OperationsForgotten": ago(50 * time.Minute)}
	timed := values{"TimeoutSeconds": int64(90), "Timeout": int64(2), "TimeoutDate": ago(time.Minute)}
	call := values{"@call": op("call"), "@called": ago(0)}
	locks := values{"Locked": int64(1), "LockCookie": int64(3), "LockDate": recent{}, "LockOperationId": op("op"), "LockOperationCookie": int64(3), "LockCallId": op("call")}
	makes := values{"Created": recent{}, "MadeOperationId": op("op"), "Timeout": int64(20), "TimeoutSeconds": nil, "TimeoutDate": nil, "SessionItemShort": []byte("new"), "SessionItemLong": nil}
	long := values{"SessionItemShort": nil, "SessionItemLong": []byte("long")}
	stores := values{"@itemShort": nil, "@itemLong": []byte("longer"), "@flags": int64(1)}
	scenes := []scene{
		{verb: "acquire", name: "a lock", args: call, row: with(ring, values{"Flags": int64(3)}), done: true, left: 20 * time.Minute, tells: map[int]any{tellsCookie: int64(3), tellsFlags: int64(1), tellsItem: "item"},
			after: with(shifted, with(locks, values{"LockActionFlags": int64(1), "Flags": int64(2)}))},
		{verb: "acquire", name: "a lock on a session that the operation created", row: values{"MadeOperationId": op("op")}, want: resultCreated, done: true},
		{verb: "create and lock", name: "a session", args: call, want: resultCreated, done: true, left: 20 * time.Minute, tells: map[int]any{tellsCookie: int64(2), tellsTimeout: int64(20), tellsFlags: int64(1), tellsItem: "new"},
			after: with(makes, with(locks, values{"LockCookie": int64(2), "LockOperationCookie": int64(2), "LockActionFlags": int64(1), "Flags": int64(0), "OperationId1": op("op"), "OperationDate1": recent{}}))},
		{verb: "re-create and lock", name: "a session", args: call, row: with(ring, with(long, with(timed, values{"Flags": int64(3)}))), want: resultCreated, done: true, left: 20 * time.Minute, tells: map[int]any{tellsCookie: int64(3), tellsFlags: int64(1), tellsItem: "new"},
			after: with(makes, with(shifted, with(locks, values{"LockActionFlags": int64(1), "Flags": int64(2)})))},
		{verb: "update", name: "an item", args: stores, row: with(ring, values{"Flags": int64(2)}), done: true, left: 20 * time.Minute,
			after: with(shifted, values{"Locked": int64(0), "LockCookie": int64(2), "SessionItemShort": nil, "SessionItemLong": []byte("longer"), "Flags": int64(3), "LockActionFlags": int64(1)})},
		{verb: "update", name: "an item over an uninitialized one", row: with(long, values{"Flags": int64(3)}), done: true, after: values{"SessionItemShort": []byte("new"), "SessionItemLong": nil, "Flags": int64(2)}},
		{verb: "update", name: "an item, and keeps the lock", args: values{"@keep": int64(1)}, done: true, after: values{"Locked": int64(1), "LockDate": recent{}, "SessionItemShort": []byte("new")}},
		{verb: "update", name: "an item, and the time of the lock is unchanged", done: true, after: values{"LockDate": ago(time.Minute)}},
		{verb: "release", name: "no item", row: ring, done: true, left: 20 * time.Minute, after: with(shifted, values{"Locked": int64(0), "LockCookie": int64(2), "SessionItemShort": []byte("item")})},
		{verb: "store", name: "an item", args: stores, row: with(ring, values{"Flags": int64(2)}), done: true, left: 20 * time.Minute, tells: map[int]any{tellsCookie: int64(3), tellsFlags: int64(1)},
			after: with(shifted, values{"Created": ago(time.Hour), "MadeOperationId": op("made"), "Locked": int64(0), "LockCookie": int64(3), "SessionItemShort": nil, "SessionItemLong": []byte("longer"), "Flags": int64(3)})},
		{verb: "store", name: "an item over an abandoned lock", row: with(held, values{"LockDate": ago(time.Hour)}), done: true, after: values{"Locked": int64(0), "LockCookie": int64(3)}},
		{verb: "store", name: "an item over an uninitialized one", row: with(long, values{"Flags": int64(3)}), done: true, after: values{"SessionItemShort": []byte("new"), "SessionItemLong": nil, "Flags": int64(2)}},
		{verb: "re-create", name: "a session", row: with(ring, timed), want: resultCreated, done: true, left: 20 * time.Minute, after: with(makes, shifted)},
		{verb: "re-create", name: "a session with a timeout", args: values{"@timeout": int64(2), "@timeoutSeconds": int64(90)}, want: resultCreated, done: true, left: 90 * time.Second,
			after: values{"Timeout": int64(2), "TimeoutSeconds": int64(90)}},
		{verb: "create", name: "a session", want: resultCreated, done: true, left: 20 * time.Minute, tells: map[int]any{tellsCookie: int64(1), tellsTimeout: int64(20)},
			after: with(makes, values{"Locked": int64(0), "LockCookie": int64(1), "OperationId1": op("op"), "OperationDate1": recent{}})},
		{verb: "remove", name: "a tombstone", row: ring, done: true, writesTombstone: values{"Removed": recent{}, "Created": ago(time.Hour), "OperationId1": op("a"), "OperationId2": op("b"), "OperationId3": op("c"), "OperationId4": op("d"),
			"OperationsForgotten": ago(50 * time.Minute)}},
	}
	for i := range 4 {
		column := fmt.Sprint("OperationId", i+1)
		scenes = append(scenes, scene{verb: "give back", name: fmt.Sprint("another operation in place ", i+1), row: with(ring, values{column: op("lock"), "LockActionFlags": int64(1), "Flags": int64(2)}), done: true,
			after: with(ring, values{column: op("instead"), "Locked": int64(0), "LockOperationId": nil, "LockCallId": nil, "Flags": int64(3), "SessionItemShort": []byte("item")})})
	}
	for _, verb := range []string{"acquire", "update", "release", "store"} {
		scenes = append(scenes,
			scene{verb: verb, name: "a fourth operation", row: with(ring, three), done: true, after: values{"OperationsForgotten": ago(50 * time.Minute)}},
			scene{verb: verb, name: "no timeout", row: timed, done: true, left: 90 * time.Second, after: timed, tells: map[int]any{tellsTimeout: int64(-90)}},
			scene{verb: verb, name: "a timeout", row: timed, args: values{"@timeout": int64(30)}, done: true, left: 30 * time.Minute, tells: map[int]any{tellsTimeout: int64(30)},
				after: values{"Timeout": int64(30), "TimeoutSeconds": nil, "TimeoutDate": recent{}}},
			scene{verb: verb, name: "a timeout in seconds", args: values{"@timeout": int64(2), "@timeoutSeconds": int64(90)}, done: true, left: 90 * time.Second,
				after: values{"Timeout": int64(2), "TimeoutSeconds": int64(90), "TimeoutDate": recent{}}})
	}
	for _, verb := range []string{"create", "create and lock", "re-create and lock"} {
		scenes = append(scenes, scene{verb: verb, name: "a timeout in seconds", args: values{"@timeout": int64(2), "@timeoutSeconds": int64(90)}, want: resultCreated, done: true, left: 90 * time.Second,
			after: values{"Timeout": int64(2), "TimeoutSeconds": int64(90)}, tells: map[int]any{tellsTimeout: int64(-90)}})
	}
	playAll(t, scenes)
}

// Stores that require a version, or no session; and sessions that were removed while a call waited for them.
func TestGuards_version(t *testing.T) {
	created := values{"@mode": int64(modeCreate)}
	match := values{"@mode": int64(modeIfMatch), "@created": ago(time.Hour), "@cookie": int64(2), "@locked": int64(0), "@newest": op("made")}
	is := func(more values) values { return with(match, more) }
	abandoned := values{"Locked": int64(1), "LockDate": ago(time.Hour)}
	resent := values{"@firstSent": ago(time.Minute), "@sent": ago(10 * time.Second), "@resent": int64(1)}
	young := values{"Created": ago(30 * time.Second)}
	net := with(young, values{"MadeOperationId": nil})
	waited := values{"@waited": ago(2 * time.Hour)}
	waitedAgain := with(waited, values{"@resent": int64(1)})
	gone := []tombstone{{at: ago(90 * time.Minute), created: ago(2 * time.Hour)}}
	forgot := values{"OperationsForgotten": ago(30 * time.Second)}
	playAll(t, []scene{
		{verb: "store", name: "create", args: created, want: resultPrecondition},
		{verb: "store", name: "create, and the session is locked", args: created, row: held, want: resultPrecondition},
		{verb: "re-create", name: "create", args: created, want: resultCreated, done: true},
		{verb: "create", name: "create", args: created, want: resultCreated, done: true},
		{verb: "store", name: "the version", args: match, done: true},
		{verb: "store", name: "the version, with an abandoned lock", args: is(values{"@locked": int64(1)}), row: abandoned, done: true},
		{verb: "store", name: "another version: another creation time", args: is(values{"@created": ago(2 * time.Hour)}), want: resultPrecondition},
		{verb: "store", name: "another version: another cookie", args: is(values{"@cookie": int64(1)}), want: resultPrecondition},
		{verb: "store", name: "another version: locked", args: match, row: abandoned, want: resultPrecondition},
		{verb: "store", name: "another version: another operation", args: is(values{"@newest": op("other")}), want: resultPrecondition},
		{verb: "re-create", name: "the version of an expired session", args: is(values{"@created": ago(2 * time.Hour)}), want: resultPrecondition},
		{verb: "create", name: "a version of a session that does not exist", args: match, want: resultPrecondition},
		{verb: "store", name: "the version, created since the attempt was sent", args: is(values{"@created": ago(0), "@sent": ago(time.Minute)}), row: values{"Created": ago(0)}, want: resultAgain},
		{verb: "store", name: "create, and the session has forgotten operations since", args: with(created, values{"@sent": ago(time.Minute)}), row: forgot, want: resultAgain},
		{verb: "store", name: "create, and the session has forgotten operations since, sent again", args: with(created, resent), row: forgot, want: resultUnknown},

		{verb: "store", name: "over a session that an operation created since, sent again", args: resent, row: with(young, values{"Created": ago(10500 * time.Millisecond)}), done: true},
		{verb: "store", name: "over a session that .NET created since, sent again", args: resent, row: with(net, values{"Created": ago(10500 * time.Millisecond)}), want: resultUnknown},
		{verb: "store", name: "over a session that .NET created since", args: with(resent, values{"@resent": int64(0)}), row: net, done: true},
		{verb: "store", name: "over a session that .NET created before, sent again", args: resent, row: values{"MadeOperationId": nil}, done: true},
		{verb: "store", name: "a version with a new successor, sent again", args: is(resent), row: young, want: resultUnknown},
		{verb: "store", name: "the current version, locked, sent again", args: with(is(resent), values{"@created": ago(30 * time.Second)}), row: with(young, values{"Locked": int64(1), "LockDate": ago(0)}), want: resultLocked},
		{verb: "store", name: "a version with an old successor, sent again", args: with(is(resent), values{"@created": ago(2 * time.Hour)}), want: resultPrecondition},
		{verb: "create", name: "a version that no longer exists, sent again", args: is(resent), want: resultUnknown},
		{verb: "create", name: "a version that was removed before, sent again", args: is(resent), removed: []tombstone{{at: ago(10 * time.Minute), created: ago(time.Hour)}}, want: resultPrecondition},
		{verb: "create", name: "a version, and another one was removed before, sent again", args: is(resent), removed: []tombstone{{at: ago(10 * time.Minute), created: ago(2 * time.Hour)}}, want: resultUnknown},
		{verb: "create", name: "removed since, sent again", args: resent, removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultNoSession},
		{verb: "create", name: "removed before, sent again", args: resent, removed: []tombstone{{at: ago(2 * time.Minute), created: ago(time.Hour)}}, want: resultCreated, done: true},
		{verb: "create", name: "removed since, and the session had forgotten operations, sent again", args: resent, removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour), forgotten: ago(40 * time.Second)}}, want: resultUnknown},
		{verb: "create", name: "removed since", args: with(resent, values{"@resent": int64(0)}), removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultAgain},
		{verb: "store", name: "over the successor of a session that was removed since", args: with(resent, values{"@call": op("call")}), removed: []tombstone{{at: ago(30 * time.Second), created: ago(2 * time.Hour)}}, want: resultNoSession},
		{verb: "store", name: "done, and the operation created the session", row: values{"OperationId2": op("op"), "MadeOperationId": op("op")}, want: resultCreated},
		{verb: "create", name: "removed since the only attempt was sent", args: values{"@sent": ago(time.Minute)}, removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultAgain},
		{verb: "create and lock", name: "removed since the only attempt was sent", args: values{"@sent": ago(time.Minute)}, removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultAgain},
		{verb: "create and lock", name: "removed since, sent again", args: resent, removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultNoSession},
		{verb: "create and lock", name: "removed since", args: with(resent, values{"@resent": int64(0)}), removed: []tombstone{{at: ago(30 * time.Second), created: ago(time.Hour)}}, want: resultAgain},
		{verb: "re-create and lock", name: "removed since, sent again", args: resent, removed: []tombstone{{at: ago(30 * time.Second), created: ago(3 * time.Hour)}}, want: resultNoSession},
		{verb: "acquire", name: "a session that does not exist", row: nobody, want: resultNoSession},
		{verb: "acquire", name: "an expired session", row: over, want: resultNoSession},

		{verb: "store", name: "the session that the call waited for was removed", args: waited, removed: gone, want: resultNoSession},
		{verb: "re-create", name: "the session that the call waited for was removed", args: waited, removed: gone, row: values{"Created": ago(time.Hour)}, want: resultNoSession},
		{verb: "create", name: "the session that the call waited for was removed", args: waited, removed: gone, want: resultNoSession},
		{verb: "create and lock", name: "the session that the call waited for was removed", args: waited, removed: gone, want: resultNoSession},
		{verb: "create and lock", name: "the session that the call waited for was removed, sent again", args: waitedAgain, removed: gone, want: resultNoSession},
		{verb: "re-create and lock", name: "the session that the call waited for was removed, sent again", args: waitedAgain, removed: gone, row: values{"Created": ago(time.Hour)}, want: resultNoSession},
		{verb: "re-create and lock", name: "the session that the call waited for was removed", args: waited, removed: gone, row: values{"Created": ago(time.Hour)}, want: resultNoSession},
		{verb: "remove", name: "the session that the call waited for was removed", args: waited, removed: gone},
		{verb: "remove", name: "the session that the call waited for was removed, and its successor is locked", args: waited, removed: gone, row: held},
		{verb: "store", name: "another session was removed", args: values{"@waited": ago(time.Hour)}, removed: gone, done: true},
		{verb: "create", name: "another session was removed", args: values{"@waited": ago(time.Hour)}, removed: gone, want: resultCreated, done: true},
		{verb: "remove", name: "another session was removed", args: values{"@waited": ago(time.Hour)}, removed: gone, done: true},
	})
}

// A removal is done once: a session that exists afterwards is a successor.
func TestGuards_removedOnce(t *testing.T) {
	p := openPair(t).Partner("a")
	for _, verb := range []string{"remove", "remove as holder"} {
		for _, args := range []values{{"@resent": int64(1)}, {"@call": op("call")}} {
			s := scene{verb: verb, args: args, removed: []tombstone{{at: ago(30 * time.Second), created: ago(2 * time.Hour), by: "op"}}}
			t.Run(fmt.Sprint(verb, args), func(t *testing.T) { s.play(t, p) })
		}
	}
}
