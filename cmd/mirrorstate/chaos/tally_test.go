package chaos

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/session"
)

// maxKept is how many failures are kept in full.
const maxKept = 20

// tally counts a run. Any number of goroutines may use it.
type tally struct {
	requests, failed, unknown, cutOff, takenBack, doubtful atomic.Int64

	mu        sync.Mutex
	resumes   []resume
	untimed   int    // proxies whose answer had not come when the next step was done
	weather   string // the fault in force
	answers   map[string]int
	worst     time.Duration
	worstAt   string // the fault in force when the worst answer came
	failures  []string
	steps     map[string]int // done, by kind
	refused   map[string]int // not possible just then, by kind
	failovers map[string]int // principals changed, by the kind of the step
	findings  map[string]int
	verdicts  map[porcupine.CheckResult]int
}

func newTally() *tally {
	return &tally{
		weather: "nothing", answers: map[string]int{}, steps: map[string]int{}, refused: map[string]int{},
		failovers: map[string]int{}, findings: map[string]int{}, verdicts: map[porcupine.CheckResult]int{},
	}
}

// answered counts one request and its answer. That of a proxy that died is no failure: its own
// open requests are all that may be cut off.
func (t *tally) answered(in input, r result, took time.Duration, died bool, err error) {
	t.requests.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[string(in.Verb)+" "+string(r)]++
	if took > t.worst {
		t.worst, t.worstAt = took, t.weather
	}
	switch {
	case r != unknown && r != nothing:
		return
	case died:
		t.cutOff.Add(1)
		return
	case errors.Is(err, session.ErrOutcomeUnknown):
		t.unknown.Add(1)
	default:
		t.failed.Add(1)
	}
	if len(t.failures) < maxKept {
		t.failures = append(t.failures, fmt.Sprintf("%s after %v, under %s: %v", in.Verb, took.Round(time.Millisecond), t.weather, err))
	}
}

// resume is how long after a partner had become principal a proxy answered again.
type resume struct {
	after time.Duration
	under string // the fault in force
}

// cutShort counts proxies that had not answered yet.
func (t *tally) cutShort(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untimed += n
}

func (t *tally) resumed(after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resumes = append(t.resumes, resume{after, t.weather})
}

// quantile is that of the resumes, which are sorted; the zero value without any.
func quantile(sorted []resume, q float64) resume {
	if len(sorted) == 0 {
		return resume{}
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// changes is how often the principal has changed.
func (t *tally) changes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sum(t.failovers)
}

// under says which fault is in force.
func (t *tally) under(weather string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.weather = weather
}

// stepped counts a step of the schedule.
func (t *tally) stepped(kind string, refused, moved bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if refused {
		t.refused[kind]++
		return
	}
	t.steps[kind]++
	if moved {
		t.failovers[kind]++
	}
}

func (t *tally) checked(v porcupine.CheckResult, found []finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts[v]++
	for _, f := range found {
		t.findings[f.Kind]++
	}
}

// progress is one line.
func (t *tally) progress() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("requests %d, failed %d, unknown %d, failovers %d, sessions checked %d, illegal %d, now under %s",
		t.requests.Load(), t.failed.Load(), t.unknown.Load(), sum(t.failovers), sum(t.verdicts), t.verdicts[porcupine.Illegal], t.weather)
}

// summary is the end of a run.
func (t *tally) summary() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "\n  %-14s "+format, append([]any{name}, args...)...)
	}
	line("failovers", "%d: %s", sum(t.failovers), list(t.failovers))
	line("steps", "%d: %s", sum(t.steps), list(t.steps))
	line("refused", "%d: %s", sum(t.refused), list(t.refused))
	line("requests", "%d: %s", t.requests.Load(), list(t.answers))
	line("failed", "%d", t.failed.Load())
	line("unknown", "%d, unexplained %d (not settled by sending again: %d; grants taken back: %d)",
		t.unknown.Load(), t.findings["unexplained"], t.doubtful.Load(), t.takenBack.Load())
	line("cut off", "%d, by the death of their proxy", t.cutOff.Load())
	line("lost", "%d", t.findings["lost"])
	line("stale reads", "%d", t.findings["stale"])
	line("double grants", "%d", t.findings["double-grant"])
	slices.SortFunc(t.resumes, func(a, b resume) int { return cmp.Compare(a.after, b.after) })
	worst := quantile(t.resumes, 1)
	line("resume", "%d, and %d cut short by the next step: p50 %v, p90 %v, p99 %v, max %v under %s", len(t.resumes), t.untimed, quantile(t.resumes, 0.5).after, quantile(t.resumes, 0.9).after,
		quantile(t.resumes, 0.99).after, worst.after, worst.under)
	line("worst stall", "%v, under %s", t.worst.Round(time.Millisecond), t.worstAt)
	line("porcupine", "sessions %d: %s", sum(t.verdicts), list(t.verdicts))
	return b.String()
}

func sum[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func list[K ~string](m map[K]int) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
