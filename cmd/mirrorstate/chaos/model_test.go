package chaos

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/session"
)

// verb is what a client asks for; the verbs of session.Store.
type verb string

const (
	verbGet     verb = "get"
	verbAcquire verb = "acquire"
	verbUpdate  verb = "update"
	verbRelease verb = "release"
	verbPut     verb = "put"
	verbRemove  verb = "remove"
	verbTouch   verb = "touch"

	// verbNotHeld is no call: the lock that it names is not held at that time.
	verbNotHeld verb = "not-held"
)

// input is one call. Every stored value of a history is another one.
type input struct {
	Verb       verb        `json:"verb"`
	Value      string      `json:"value,omitempty"`       // what update and put store
	Lock       string      `json:"lock,omitempty"`        // operation id: of the acquire itself, or of the lock a call bears
	Keep       bool        `json:"keep,omitempty"`        // update: the lock is kept
	Beside     bool        `json:"beside,omitempty"`      // get: also beside a holder
	OnlyCreate bool        `json:"only_create,omitempty"` // put
	Match      session.Tag `json:"match,omitempty"`       // put
	Waits      bool        `json:"waits,omitempty"`       // it queues for the lock a moment
	Net        bool        `json:"net,omitempty"`         // it is .NET's, by the stock procedures
}

// mutates tells whether the call has an operation id.
func (in input) mutates() bool { return in.Verb != verbGet && in.Verb != verbTouch }

// result is how a call ended.
type result string

const (
	done         result = "done"
	notFound     result = "not-found"
	locked       result = "locked"
	lockLost     result = "lock-lost"
	precondition result = "precondition"
	unknown      result = "unknown" // it takes effect at some time after its call, or never
	nothing      result = "nothing" // it failed and says that nothing was applied: no part of a history
)

// output is the answer to one call.
type output struct {
	Result result      `json:"result"`
	Value  string      `json:"value,omitempty"` // what get and acquire read
	Tag    session.Tag `json:"tag,omitempty"`   // the version after the call; empty: not told
	Made   bool        `json:"made,omitempty"`  // put: there was no such session
}

// state is a session: the zero value is none.
type state struct {
	exists bool
	value  string
	holder string      // the operation id of the acquire that holds the lock; empty: nobody
	tag    session.Tag // empty: of a version whose tag nobody has seen yet
}

// mayDo tells whether the call can take effect in s, and what is there then.
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
		return state{}, !s.exists || s.holder == in.Lock // the holder, or without a lock if nobody holds it
	}
	return s, false
}

func (s state) heldBy(lock string) bool { return s.exists && s.holder == lock && lock != "" }

// meets tells whether the state is as the put wants it.
func (s state) meets(in input) bool {
	switch {
	case in.OnlyCreate:
		return !s.exists
	case in.Match != "":
		// Whoever names a version has seen it, so one that nobody has seen is another.
		return s.exists && s.tag == in.Match
	}
	return true
}

// after is what may be there after a call with this answer; nothing, if the answer
// is impossible in s.
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
		// Who queued and did not get its turn may be told so although the lock is
		// free by then.
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
			return []state{next, untagged} // of a write that was sent again, the tag may be one that no version has
		}
	case out.Tag != "" && out.Tag != next.tag:
		return nil // a read or a touch: no new version
	}
	return []state{next}
}

// sessionModel is the model of one session's history, which begins with no session.
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

// describe is a call and its answer in a few words.
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

// short is the end of an id, which differs most.
func short(id string) string { return id[max(0, len(id)-6):] }
