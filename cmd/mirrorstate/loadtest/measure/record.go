package measure

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Recorder records the samples of one via. Its methods may be called concurrently.
//
// It keeps totals of all requests that were due while the run was measured. It keeps single samples
// for about a minute, and those around a failover until the end of the run.
type Recorder struct {
	step   time.Duration // length of a step of the timeline
	length time.Duration // how long the run is measured

	mu            sync.Mutex // guards all fields below
	requests      int64
	failed        int64
	inTime        int64 // answers before the end
	busy          int64
	gone          int64
	problems      map[string]int64
	total         histogram
	byCall        [callKinds]histogram
	early         histogram         // delays of requests for which a client had waited
	recentLatency histogram         // latencies since the last call of Recent
	recent        Recent            // counts since the last call of Recent
	seconds       map[int][]Sample  // samples by the second in which they were due
	steps         map[int]stepCount // by step of the timeline
	compacted     map[int]spread    // by step of the timeline: latencies of samples that are not kept any more
	scratch       histogram
}

// stepCount counts the requests that were due, and those that ended, in a step of the timeline.
type stepCount struct{ due, answered, failed int }

// spread holds the latencies of the requests that were due in a step.
type spread struct {
	n                  int
	p50, p90, p99, max float64 // milliseconds
}

// TimelineStep returns the length of a step of the timeline: 100 ms for runs of up to two minutes,
// otherwise one second.
func TimelineStep(length time.Duration) time.Duration {
	if length <= 2*time.Minute {
		return 100 * time.Millisecond
	}
	return time.Second
}

// NewRecorder returns a recorder for a run that is measured for length.
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

// measured reports whether a request counts: it was due after the warm-up and before the end.
func (r *Recorder) measured(s *Sample) bool { return s.Due >= 0 && s.Due < r.length }

// Add records a sample.
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

// count adds a sample to the totals. Failures have no latency.
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

// Totals counts the requests of one via that were due while the run was measured.
type Totals struct {
	Requests, Failed, Busy, Gone int64              // requests, those that failed, and the answers Busy and Gone
	InTime                       int64              // answers before the end
	Problems                     map[string]int64   // failures by problem name
	Latency                      Latency            // of all answers
	ByCall                       map[string]Latency // of all answers, by call; calls without an answer are left out
	Late                         *Latency           // how late requests were sent although a client had waited for them; nil: there were none
}

// Totals returns the totals so far. The caller may keep and change the maps.
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

// countStep counts when a request was due and when it ended.
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

// Recent counts the requests that ended since the previous call of [Recorder.Recent], including the warm-up.
type Recent struct {
	Requests, Failed int64   // requests that ended, and failures among them
	P50, P99         float64 // of the answers, in milliseconds
}

// Recent returns the counts since its previous call.
func (r *Recorder) Recent() Recent {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, q := r.recent, r.recentLatency.latency()
	g.P50, g.P99 = q.P50, q.P99
	r.recent = Recent{}
	r.recentLatency.h.Reset()
	return g
}

// compactAfter is how long each sample is kept at least.
const compactAfter = time.Minute

// Compact drops samples that were due more than a minute before now, and keeps their latencies for the timeline. It
// does not drop the samples of a second for which keep reports true; from and to are the limits of the second.
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

// spreads returns the latencies of samples by step of the timeline.
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

// OutsideFailovers returns the latencies of all answers to requests that met no outage of the list,
// or nil if there are none. It needs the samples around outages, which Compact must have kept.
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
	At                 time.Duration // when the step begins
	Due                int           // requests that were due in it
	Answered, Failed   int           // requests that ended in it
	Waiting            int           // requests due before its end that had not ended by then
	N                  int           // requests due in it that were answered, at any time
	P50, P90, P99, Max float64       // latencies of these N requests in milliseconds
}

// Timeline returns the run step by step, from the end of the warm-up to ended.
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
