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

// forever is when a call returns that nobody answered.
const forever = math.MaxInt64

// record is one call and its answer.
type record struct {
	Client   int       `json:"client"`
	In       input     `json:"in"`
	Out      output    `json:"out"`
	Call     int64     `json:"call"`   // nanoseconds since the run began
	Return   int64     `json:"return"` // the same; forever if the outcome is unknown
	Tries    int       `json:"tries"`
	Attempts []attempt `json:"attempts,omitempty"`
}

// attempt is one request of a call. Times are nanoseconds since the run began.
type attempt struct {
	Proxy  string `json:"proxy,omitempty"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Begun  int64  `json:"begun,omitempty"` // when the proxy asked the store; 0: not that we know
	Result result `json:"result"`
	Left   bool   `json:"left,omitempty"` // its client hung up before the answer
	Died   bool   `json:"died,omitempty"` // its proxy died

	answer answer
	target target
	try    *try
}

// doubtful tells whether nobody knows what became of the request.
func (a attempt) doubtful() bool {
	return a.Result == unknown || a.Died && a.Result == nothing
}

// refused tells whether the proxy answered that nothing was done and why.
func (a attempt) refused() bool {
	return a.Result != done && a.Result != unknown && a.Result != nothing
}

// askedInVain tells whether the proxy answered that it does not know the outcome.
func (a attempt) answeredUnknown() bool { return a.Result == unknown && !a.Died && !a.Left }

// doubts is how many of the requests are doubtful.
func (r record) doubts() (n int) {
	for _, a := range r.Attempts {
		if a.doubtful() {
			n++
		}
	}
	return n
}

// String is the record as a line of a report.
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

// operations is a history as porcupine takes it.
func operations(history []record) []porcupine.Operation {
	out := make([]porcupine.Operation, 0, len(history))
	for _, r := range history {
		out = append(out, porcupine.Operation{ClientId: r.Client, Input: r.In, Output: r.Out, Call: r.Call, Return: r.Return})
	}
	return out
}

// doneTwice adds to a history the puts that may have been done twice. A removal of .NET's leaves no trace of the session
// and of what it remembered: a put that was done before, and whose request is sent again after, makes it anew. That can
// be only while the put is not answered yet. So may one whose client sent it again, if the session forgot it.
func doneTwice(history []record) []record {
	out := slices.Clone(history)
	for i, r := range history {
		meanwhile := func(x record) bool {
			removed := x.In.Net && x.In.Verb == verbRemove && (x.Out.Result == done || x.Out.Result == unknown)
			return removed && x.Call <= r.Return && x.Return >= r.Call
		}
		// A client's own retry is recognised as long as the session remembers it.
		forgotten := r.Tries > 1 && othersBetween(history, i, r.Call, r.Return) >= ringSize
		if r.In.Verb == verbPut && !r.In.Net && r.Out.Result == done && (forgotten || slices.ContainsFunc(history, meanwhile)) {
			r.Out = output{Result: unknown}
			out = append(out, r)
		}
	}
	return out
}

// subject is one session and its history. It lives for a limited number of turns,
// so that histories stay short enough to be checked while the run goes on.
type subject struct {
	ref session.Ref

	mu      sync.Mutex
	history []record
	turns   int  // clients that may still begin with it
	active  int  // clients that have begun and not ended
	retired bool // nobody begins any more
}

func newSubject(app *session.Application, turns int) *subject {
	return &subject{ref: session.Ref{App: app, ID: session.NewID()}, turns: turns}
}

// begin takes a turn; false if the subject has none left.
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

// end gives the turn back and tells whether it was the subject's last.
func (s *subject) end() (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	return s.active == 0 && (s.retired || s.turns == 0)
}

// retire ends the subject early: nobody begins with it any more. It tells whether
// nobody is at it, and nobody has been told so before.
func (s *subject) retire() (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := s.retired || s.turns == 0
	s.retired = true
	return !over && s.active == 0
}

// retireBusy is retire by a client that is at it and ends later.
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

// stage is the subjects that are on, one a slot; whoever is over is replaced by a
// new one and handed to finished.
type stage struct {
	app      *session.Application
	turns    int
	finished func(*subject) // called by the client that ended last

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

// take begins a turn with the slot's subject.
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

// close retires what is still on. Nobody may be at it.
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
