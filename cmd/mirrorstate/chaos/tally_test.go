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

// maxKept is the largest number of failures that are kept in full.
const maxKept = 20

// tally counts the events of a run. Any number of goroutines may use it.
type tally struct {
	requests, failed, unknown, cutOff, doubtful atomic.Int64
	ghosts                                      atomic.Int64 // grants whose lock may have been released again
	again, twins                                atomic.Int64 // requests that were sent again, and pairs that were sent at once

	server string // describes the server that the proxies run

	mu        sync.Mutex
	resumes   []resume
	untimed   int    // proxies that had not answered before the next step
	fault     string // the present fault
	answers   map[string]int
	net       map[string]int // calls of .NET, by their results
	hangUps   map[string]int // by verb
	wires     map[string]int // disturbances of relays, by kind
	lates     map[string]int // requests that arrived late and were answered, by procedure
	worst     time.Duration
	worstAt   string // the fault at the time of the slowest answer
	failures  []string
	steps     map[string]int // done, by kind
	refused   map[string]int // steps that were not possible, by kind
	failovers map[string]int // changes of the principal, by the kind of the step
	findings  map[string]int
	verdicts  map[porcupine.CheckResult]int
}

func newTally() *tally {
	return &tally{
		fault: "nothing", answers: map[string]int{}, net: map[string]int{}, hangUps: map[string]int{}, wires: map[string]int{}, lates: map[string]int{}, steps: map[string]int{}, refused: map[string]int{},
		failovers: map[string]int{}, findings: map[string]int{}, verdicts: map[porcupine.CheckResult]int{},
	}
}

// answered counts one request and its answer. A request that was open on a killed proxy is not a failure.
func (t *tally) answered(in input, r result, took time.Duration, died bool, err error) {
	t.requests.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[string(in.Verb)+" "+string(r)]++
	if took > t.worst {
		t.worst, t.worstAt = took, t.fault
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
		t.failures = append(t.failures, fmt.Sprintf("%s after %v, under %s: %v", in.Verb, took.Round(time.Millisecond), t.fault, err))
	}
}

// answeredNet counts a call of .NET.
func (t *tally) answeredNet(in input, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.net[string(in.Verb)+" "+string(r)]++
}

// hungUp counts a request whose client hung up.
func (t *tally) hungUp(in input) {
	t.requests.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hangUps[string(in.Verb)]++
}

// round counts a round of a call, of n requests.
func (t *tally) round(again bool, n int) {
	if again {
		t.again.Add(int64(n))
	}
	if n > 1 {
		t.twins.Add(1)
	}
}

// disturbed counts a request that a relay disturbed.
func (t *tally) disturbed(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wires[kind]++
}

// late counts a request that arrived late at its server and was answered.
func (t *tally) late(procedure string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lates[procedure]++
}

// resume is the time from a partner becoming principal to a proxy's first answer.
type resume struct {
	after time.Duration
	under string // the fault at that time
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
	t.resumes = append(t.resumes, resume{after, t.fault})
}

// quantile returns a quantile of the sorted resumes; the zero value if there are none.
func quantile(sorted []resume, q float64) resume {
	if len(sorted) == 0 {
		return resume{}
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// changes returns how often the principal has changed.
func (t *tally) changes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sum(t.failovers)
}

// under sets the present fault.
func (t *tally) under(fault string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = fault
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

// progress returns one line about the progress of the run.
func (t *tally) progress() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("requests %d, failed %d, unknown %d, failovers %d, hang-ups %d, late %d, sessions checked %d, illegal %d, findings %d, now under %s",
		t.requests.Load(), t.failed.Load(), t.unknown.Load(), sum(t.failovers), sum(t.hangUps), sum(t.lates), sum(t.verdicts),
		t.verdicts[porcupine.Illegal], sum(t.findings), t.fault)
}

// summary returns the summary of a run.
func (t *tally) summary() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "\n  %-18s "+format, append([]any{name}, args...)...)
	}
	if t.server != "" {
		line("server", "%s; killed %d, ended in order %d", t.server, t.steps[kill], t.steps[restart])
	}
	line("failovers", "%d: %s", sum(t.failovers), list(t.failovers))
	line("steps", "%d: %s", sum(t.steps), list(t.steps))
	line("refused", "%d: %s", sum(t.refused), list(t.refused))
	line("requests", "%d: %s", t.requests.Load(), list(t.answers))
	line("failed", "%d", t.failed.Load())
	line("hang-ups", "%d: %s", sum(t.hangUps), list(t.hangUps))
	line("sent again", "%d requests; %d times two at once", t.again.Load(), t.twins.Load())
	line("relays", "%d: %s", sum(t.wires), list(t.wires))
	line("late", "%d: %s", sum(t.lates), list(t.lates))
	line(".NET", "%d: %s", sum(t.net), list(t.net))
	line("unknown", "%d, unexplained %d (calls whose outcome stayed unknown: %d; grants that may have been given back: %d)",
		t.unknown.Load(), t.findings["unexplained"], t.doubtful.Load(), t.ghosts.Load())
	line("cut off", "%d, by the killing of their proxy", t.cutOff.Load())
	line("lost", "%d", t.findings["lost"])
	line("stale reads", "%d", t.findings["stale"])
	line("double grants", "%d, and %d locks taken from their holder", t.findings["double-grant"], t.findings["taken"])
	line("after a refusal", "%d applied after not-applied, %d locks held by nobody", t.findings["after-refusal"], t.findings["held-by-nobody"])
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
