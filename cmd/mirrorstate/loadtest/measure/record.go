package measure

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Recorder takes the samples of one via. Any number of goroutines may use it.
//
// It keeps totals of all that was due while it was measured, and every sample for as
// long as it may be needed: until its place on the timeline is settled, and around the
// failovers for good.
type Recorder struct {
	step   time.Duration // of the timeline
	length time.Duration // of the measuring

	mu            sync.Mutex // guards all below
	requests      int64
	failed        int64
	inTime        int64 // answered before the end
	busy          int64
	gone          int64
	problems      map[string]int64
	total         histogram
	byCall        [callKinds]histogram
	early         histogram         // how late arrivals were that a client waited for
	recentLatency histogram         // since the last glance
	recent        Recent            // counted since then
	seconds       map[int][]Sample  // by the second in which they were due
	steps         map[int]stepCount // by step of the timeline
	compacted     map[int]spread    // by step: what samples gave that are kept no more
	scratch       histogram
}

// stepCount is what came in and went out in a step of the timeline.
type stepCount struct{ due, answered, failed int }

// spread is the latencies of what was due in a step.
type spread struct {
	n                  int
	p50, p90, p99, max float64 // milliseconds
}

// TimelineStep is 100 ms where the run is short enough to see it, and otherwise a second.
func TimelineStep(length time.Duration) time.Duration {
	if length <= 2*time.Minute {
		return 100 * time.Millisecond
	}
	return time.Second
}

// NewRecorder makes a recorder of a run that is measured for so long.
func NewRecorder(length time.Duration) *Recorder {
	r := &Recorder{
		step: TimelineStep(length), length: length, problems: map[string]int64{},
		total: newHistogram(3), early: newHistogram(3), recentLatency: newHistogram(2), scratch: newHistogram(2),
		seconds: map[int][]Sample{}, steps: map[int]stepCount{}, compacted: map[int]spread{},
	}
	for i := range r.byCall {
		r.byCall[i] = newHistogram(3)
	}
	return r
}

// measured tells whether a request counts: it was due after the warm-up.
func (r *Recorder) measured(s *Sample) bool { return s.Due >= 0 && s.Due < r.length }

// Add takes a sample.
func (r *Recorder) Add(s Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	second := int(math.Floor(s.Due.Seconds()))
	r.seconds[second] = append(r.seconds[second], s)
	r.countStep(&s)
	r.recent.Requests++
	if s.Status == Failed {
		r.recent.Failed++
	} else {
		r.recentLatency.add(s.latency())
	}
	if r.measured(&s) {
		r.count(&s)
	}
}

// count adds to the totals. Latencies are those of answers: a failure has none.
func (r *Recorder) count(s *Sample) {
	r.requests++
	switch s.Status {
	case Failed:
		r.failed++
		r.problems[s.Problem]++
		return
	case Busy:
		r.busy++
	case Gone:
		r.gone++
	}
	if s.Done < r.length {
		r.inTime++
	}
	r.total.add(s.latency())
	r.byCall[s.Call].add(s.latency())
	if s.Early {
		r.early.add(s.Sent - s.Due)
	}
}

// Totals is what one via's requests were, of those that were due while it was measured.
type Totals struct {
	Requests, Failed, Busy, Gone int64
	InTime                       int64              // answers that came before the end
	Problems                     map[string]int64   // failures by name
	Latency                      Latency            // of the answers
	ByCall                       map[string]Latency // of those calls that there were
	Late                         *Latency           // how late requests were sent that a client waited for; nil: none
}

// Totals gives the totals so far. The map of problems is the caller's.
func (r *Recorder) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := Totals{
		Requests: r.requests, Failed: r.failed, Busy: r.busy, Gone: r.gone, InTime: r.inTime,
		Problems: maps.Clone(r.problems), Latency: r.total.latency(), ByCall: map[string]Latency{},
	}
	for v := range callKinds {
		if r.byCall[v].h.TotalCount() > 0 {
			t.ByCall[v.String()] = r.byCall[v].latency()
		}
	}
	if r.early.h.TotalCount() > 0 {
		t.Late = new(r.early.latency())
	}
	return t
}

// countStep notes when the request came in and went out.
func (r *Recorder) countStep(s *Sample) {
	came, went := r.stepOf(s.Due), r.stepOf(s.Done)
	f := r.steps[came]
	f.due++
	r.steps[came] = f
	f = r.steps[went]
	if s.Status == Failed {
		f.failed++
	} else {
		f.answered++
	}
	r.steps[went] = f
}

func (r *Recorder) stepOf(d time.Duration) int { return int(math.Floor(float64(d) / float64(r.step))) }

// Recent is what happened since the last one.
type Recent struct {
	Requests, Failed int64
	P50, P99         float64 // milliseconds
}

// Recent gives what happened since it was last called.
func (r *Recorder) Recent() Recent {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, q := r.recent, r.recentLatency.latency()
	g.P50, g.P99 = q.P50, q.P99
	r.recent = Recent{}
	r.recentLatency.h.Reset()
	return g
}

// compactAfter is how long samples are kept at least.
const compactAfter = time.Minute

// Compact puts on the timeline what was due long ago, and forgets the samples but for
// those that keep asks for, by the second they were due in.
func (r *Recorder) Compact(now time.Duration, keep func(from, to time.Duration) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for second, list := range r.seconds {
		from := time.Duration(second) * time.Second
		if now-from < compactAfter || keep(from, from+time.Second) {
			continue
		}
		maps.Copy(r.compacted, r.spreads(list))
		delete(r.seconds, second)
	}
}

// spreads are the latencies of samples by step.
func (r *Recorder) spreads(list []Sample) map[int]spread {
	steps := map[int][]*Sample{}
	for i := range list {
		if s := &list[i]; s.Status != Failed {
			steps[r.stepOf(s.Due)] = append(steps[r.stepOf(s.Due)], s)
		}
	}
	out := make(map[int]spread, len(steps))
	for step, list := range steps {
		r.scratch.h.Reset()
		for _, s := range list {
			r.scratch.add(s.latency())
		}
		q := r.scratch.latency()
		out[step] = spread{len(list), q.P50, q.P90, q.P99, q.Max}
	}
	return out
}

// OutsideFailovers is the latencies of what was answered and met no failover; nil if nothing was. The samples around
// failovers are kept for good, so that they can be taken off the total.
func (r *Recorder) OutsideFailovers(list []Outage) *Latency {
	rest := newHistogram(3)
	r.samples(func(s *Sample) {
		if r.measured(s) && s.Status != Failed && slices.ContainsFunc(list, func(o Outage) bool { return o.met(s) }) {
			rest.add(s.latency())
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	outside := r.total.without(rest)
	if outside.h.TotalCount() == 0 {
		return nil
	}
	return new(outside.latency())
}

// samples calls f with every sample that is kept. f must not call the recorder.
func (r *Recorder) samples(f func(*Sample)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range r.seconds {
		for i := range list {
			f(&list[i])
		}
	}
}

// Interval is one step of the timeline.
type Interval struct {
	At                 time.Duration // when it begins
	Due                int           // requests that were due in it
	Answered, Failed   int           // that ended in it
	Waiting            int           // that were due before its end and had not ended then
	N                  int           // requests due in it that were answered, whenever: those of the latencies
	P50, P90, P99, Max float64       // their latencies in milliseconds
}

// Timeline is the run step by step, without the warm-up, until measuring ended.
func (r *Recorder) Timeline(ended time.Duration) []Interval {
	r.mu.Lock()
	defer r.mu.Unlock()
	spreads := maps.Clone(r.compacted)
	for _, list := range r.seconds {
		maps.Copy(spreads, r.spreads(list))
	}
	waiting := 0
	for step, f := range r.steps {
		if step < 0 {
			waiting += f.due - f.answered - f.failed
		}
	}
	var line []Interval
	for step := range int(min(ended, r.length) / r.step) {
		f, q := r.steps[step], spreads[step]
		waiting += f.due - f.answered - f.failed
		line = append(line, Interval{
			At: time.Duration(step) * r.step, Due: f.due, Answered: f.answered, Failed: f.failed, Waiting: waiting,
			N: q.n, P50: q.p50, P90: q.p90, P99: q.p99, Max: q.max,
		})
	}
	return line
}
