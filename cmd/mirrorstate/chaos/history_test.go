package chaos

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/session"
)

// forever is the return time of a call without an answer.
const forever = math.MaxInt64

// record is one call and its answer.
type record struct {
	Client   int       `json:"client"`
	In       input     `json:"in"`
	Out      output    `json:"out"`
	Call     int64     `json:"call"`   // nanoseconds since the run began
	Return   int64     `json:"return"` // in the same unit; forever if the outcome is unknown
	Tries    int       `json:"tries"`
	Attempts []attempt `json:"attempts,omitempty"`
}

// attempt is one request of a call. Times are nanoseconds since the run began.
type attempt struct {
	Proxy  string `json:"proxy,omitempty"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Begun  int64  `json:"begun,omitempty"` // when the proxy called the store; 0 if not known
	Result result `json:"result"`
	Left   bool   `json:"left,omitempty"` // its client hung up before the answer
	Died   bool   `json:"died,omitempty"` // its proxy was killed

	answer answer
	target target
	try    *try
}

// doubtful reports whether the outcome of the request is unknown.
func (a attempt) doubtful() bool {
	return a.Result == unknown || a.Died && a.Result == nothing
}

// refused reports whether the proxy answered with a refusal: nothing was done.
func (a attempt) refused() bool {
	return a.Result != done && a.Result != unknown && a.Result != nothing
}

// answeredUnknown reports whether the proxy answered that the outcome is unknown.
func (a attempt) answeredUnknown() bool { return a.Result == unknown && !a.Died && !a.Left }

// doubts returns how many of the requests are doubtful.
func (r record) doubts() (n int) {
	for _, a := range r.Attempts {
		if a.doubtful() {
			n++
		}
	}
	return n
}

// String returns the record as one line of a report.
func (r record) String() string {
	end := "-"
	if r.Return != forever {
		end = fmt.Sprintf("%.6f", time.Duration(r.Return).Seconds())
	}
	line := fmt.Sprintf("[%.6f %s] client %d: %s", time.Duration(r.Call).Seconds(), end, r.Client, describe(r.In, r.Out))
	if len(r.Attempts) < 2 {
		return line
	}
	for _, a := range r.Attempts {
		line += fmt.Sprintf(" (%s %.6f–%.6f %s", a.Proxy, time.Duration(a.From).Seconds(), time.Duration(a.To).Seconds(), a.Result)
		if a.Left {
			line += ", hung up"
		}
		if a.Died {
			line += ", proxy died"
		}
		line += ")"
	}
	return line
}

// operations returns a history in porcupine's type.
func operations(history []record) []porcupine.Operation {
	out := make([]porcupine.Operation, 0, len(history))
	for _, r := range history {
		out = append(out, porcupine.Operation{ClientId: r.Client, Input: r.In, Output: r.Out, Call: r.Call, Return: r.Return})
	}
	return out
}

// doneTwice adds the puts to a history that may have been done twice. If .NET removes a session, its operations are
// forgotten: a put that was done before and is sent again creates the session again. This is possible only until the
// put is answered. A put that its client sent again may also be done twice if the session has forgotten it.
func doneTwice(history []record) []record {
	out := slices.Clone(history)
	for i, r := range history {
		meanwhile := func(x record) bool {
			removed := x.In.Net && x.In.Verb == verbRemove && (x.Out.Result == done || x.Out.Result == unknown)
			return removed && x.Call <= r.Return && x.Return >= r.Call
		}
		// A client's retry is recognised as long as the session remembers the operation.
		forgotten := r.Tries > 1 && othersBetween(history, i, r.Call, r.Return) >= ringSize
		if r.In.Verb == verbPut && !r.In.Net && r.Out.Result == done && (forgotten || slices.ContainsFunc(history, meanwhile)) {
			r.Out = output{Result: unknown}
			out = append(out, r)
		}
	}
	return out
}

// subject is one session and its history. It has a limited number of turns, so that its history stays short enough to
// be checked during the run.
type subject struct {
	ref session.Ref

	mu      sync.Mutex
	history []record
	turns   int  // turns that are left
	active  int  // turns under way
	retired bool // no more turns begin
}

func newSubject(app *session.Application, turns int) *subject {
	return &subject{ref: session.Ref{App: app, ID: session.NewID()}, turns: turns}
}

// begin takes a turn. It returns false if no turn is left.
func (s *subject) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired || s.turns == 0 {
		return false
	}
	s.turns--
	s.active++
	return true
}

// end ends a turn and reports whether it was the subject's last one.
func (s *subject) end() (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	return s.active == 0 && (s.retired || s.turns == 0)
}

// retire ends the subject early: no more turns begin. It reports whether no turn is under way. It reports that only
// once.
func (s *subject) retire() (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := s.retired || s.turns == 0
	s.retired = true
	return !over && s.active == 0
}

// retireBusy retires the subject during a client's turn.
func (s *subject) retireBusy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
}

func (s *subject) note(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, r)
}

// stage holds the present subjects, one for each slot. It replaces a subject without turns by a new one, and passes it
// to finished.
type stage struct {
	app      *session.Application
	turns    int
	finished func(*subject) // called by the client with the last turn

	mu    sync.Mutex
	slots []*subject
}

func newStage(app *session.Application, slots, turns int, finished func(*subject)) *stage {
	s := &stage{app: app, turns: turns, finished: finished}
	for range slots {
		s.slots = append(s.slots, newSubject(app, turns))
	}
	return s
}

// take begins a turn with the subject of a slot.
func (s *stage) take(slot int) *subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.slots[slot].begin() {
		s.slots[slot] = newSubject(s.app, s.turns)
	}
	return s.slots[slot]
}

// put ends a turn.
func (s *stage) put(sub *subject) {
	if sub.end() {
		s.finished(sub)
	}
}

// close retires the present subjects. No turn may be under way.
func (s *stage) close() {
	s.mu.Lock()
	slots := s.slots
	s.mu.Unlock()
	for _, sub := range slots {
		if sub.retire() {
			s.finished(sub)
		}
	}
}
