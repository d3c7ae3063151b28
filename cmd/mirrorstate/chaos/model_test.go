package chaos

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/session"
)

// verb is a verb of session.Store.
type verb string

const (
	verbGet     verb = "get"
	verbAcquire verb = "acquire"
	verbUpdate  verb = "update"
	verbRelease verb = "release"
	verbPut     verb = "put"
	verbRemove  verb = "remove"
	verbTouch   verb = "touch"

	// verbNotHeld is not a call. It says that the lock it names is not held at that time.
	verbNotHeld verb = "not-held"
)

// input is one call. All values that a history stores are different.
type input struct {
	Verb       verb        `json:"verb"`
	Value      string      `json:"value,omitempty"`       // stored by update and put
	Lock       string      `json:"lock,omitempty"`        // an operation id: of the acquire itself, or of the acquire that granted the call's lock
	Keep       bool        `json:"keep,omitempty"`        // update: the lock is kept
	Beside     bool        `json:"beside,omitempty"`      // get: read even if another caller holds the lock
	OnlyCreate bool        `json:"only_create,omitempty"` // put
	Match      session.Tag `json:"match,omitempty"`       // put
	Waits      bool        `json:"waits,omitempty"`       // the call queues for the lock
	Net        bool        `json:"net,omitempty"`         // a call of .NET, by the stock procedures
}

// mutates reports whether the call has an operation id.
func (in input) mutates() bool { return in.Verb != verbGet && in.Verb != verbTouch }

// result is how a call ended.
type result string

const (
	done         result = "done"
	notFound     result = "not-found"
	locked       result = "locked"
	lockLost     result = "lock-lost"
	precondition result = "precondition"
	unknown      result = "unknown" // the call takes effect at some time after it began, or never
	nothing      result = "nothing" // the call failed and nothing was applied; it is not part of the history
)

// output is the answer to one call.
type output struct {
	Result result      `json:"result"`
	Value  string      `json:"value,omitempty"` // read by get and acquire
	Tag    session.Tag `json:"tag,omitempty"`   // the version after the call; empty if the answer does not have it
	Made   bool        `json:"made,omitempty"`  // put: the session was created
}

// state is a session. The zero value is no session.
type state struct {
	exists bool
	value  string
	holder string      // the operation id of the acquire that holds the lock; empty: not locked
	tag    session.Tag // empty: no client has seen the tag of this version yet
}

// mayDo returns the state after the call takes effect in s, and whether it can take effect.
func (s state) mayDo(in input) (state, bool) {
	next := s
	next.tag = ""
	switch in.Verb {
	case verbGet, verbTouch:
		return s, s.exists && (s.holder == "" || in.Beside || in.Verb == verbTouch)
	case verbAcquire:
		next.holder = in.Lock
		return next, s.exists && s.holder == ""
	case verbUpdate:
		next.value = in.Value
		if !in.Keep {
			next.holder = ""
		}
		return next, s.heldBy(in.Lock)
	case verbRelease:
		next.holder = ""
		return next, s.heldBy(in.Lock)
	case verbPut:
		return state{exists: true, value: in.Value}, s.holder == "" && s.meets(in)
	case verbRemove:
		return state{}, !s.exists || s.holder == in.Lock // the holder, or a call without a lock if the session is not locked
	}
	return s, false
}

func (s state) heldBy(lock string) bool { return s.exists && s.holder == lock && lock != "" }

// meets reports whether the state satisfies the condition of the put.
func (s state) meets(in input) bool {
	switch {
	case in.OnlyCreate:
		return !s.exists
	case in.Match != "":
		// A client that names a version has seen its tag. A version whose tag nobody has seen is a different one.
		return s.exists && s.tag == in.Match
	}
	return true
}

// after returns the possible states after a call with this answer; none if the answer is impossible in s.
func (s state) after(in input, out output) []state {
	next, can := s.mayDo(in)
	one := func(ok bool) []state {
		if ok {
			return []state{s}
		}
		return nil
	}
	if in.Verb == verbNotHeld {
		return one(out.Result == unknown || s.holder != in.Lock)
	}
	switch out.Result {
	case unknown:
		if can && next != s {
			return []state{s, next}
		}
		return one(true)
	case done:
		return s.afterDone(in, out, next, can)
	case notFound:
		return one(!s.exists)
	case locked:
		// A call that queued in vain may be answered "locked" although the lock is free by then.
		return one((s.exists && s.holder != "" || in.Waits) && in.Verb != verbTouch && !in.Beside)
	case lockLost:
		return one(!s.heldBy(in.Lock))
	case precondition:
		return one((in.OnlyCreate || in.Match != "") && !s.meets(in))
	}
	return nil
}

func (s state) afterDone(in input, out output, next state, can bool) []state {
	reads := in.Verb == verbGet || in.Verb == verbAcquire
	switch {
	case !can, reads && out.Value != s.value, out.Made && s.exists:
		return nil
	case next.tag == "" && next.exists:
		next.tag = out.Tag
		if untagged := (state{next.exists, next.value, next.holder, ""}); out.Tag != "" {
			return []state{next, untagged} // the tag in the answer to a repeated write may belong to no version
		}
	case out.Tag != "" && out.Tag != next.tag:
		return nil // a read or a touch creates no version
	}
	return []state{next}
}

// sessionModel returns the model of one session's history. At the beginning there is no session.
func sessionModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any {
			var next []any
			for _, n := range s.(state).after(in.(input), out.(output)) {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
		DescribeState: func(s any) string {
			st := s.(state)
			if !st.exists {
				return "none"
			}
			return fmt.Sprintf("%q held by %q at %s", st.value, short(st.holder), short(string(st.tag)))
		},
	}
	return m.ToModel()
}

// describe returns a short text for a call and its answer.
func describe(in input, out output) string {
	text := string(in.Verb)
	if in.Lock != "" {
		text += " lock=" + short(in.Lock)
	}
	if in.Value != "" {
		text += fmt.Sprintf(" %q", in.Value)
	}
	for _, flag := range []struct {
		text string
		set  bool
	}{{" keep", in.Keep}, {" beside", in.Beside}, {" only-create", in.OnlyCreate}, {" waits", in.Waits}, {" .NET", in.Net}} {
		if flag.set {
			text += flag.text
		}
	}
	if in.Match != "" {
		text += " match=" + short(string(in.Match))
	}
	text += " -> " + string(out.Result)
	if out.Value != "" {
		text += fmt.Sprintf(" %q", out.Value)
	}
	if out.Made {
		text += " made"
	}
	if out.Tag != "" {
		text += " tag=" + short(string(out.Tag))
	}
	return text
}

// short returns the end of an id, which differs most.
func short(id string) string { return id[max(0, len(id)-6):] }
