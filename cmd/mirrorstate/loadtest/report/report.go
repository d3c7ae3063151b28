package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Report is what a load test found: the JSON of --json, whose shape is fixed and may grow.
// The top level is that of the first via, and Vias are all, where they were compared.
type Report struct {
	Result
	Vias map[string]*Result `json:"vias,omitempty"`

	Version     string                  `json:"version,omitempty"`
	Tested      Tested                  `json:"tested"`
	Began       time.Time               `json:"began"`
	Interrupted bool                    `json:"interrupted,omitempty"`
	Load        Offered                 `json:"load"`
	Processes   map[string]measure.Cost `json:"processes,omitempty"` // by name; generator is the load test itself
	Limits      []Checked               `json:"limits,omitempty"`    // that were asked for
	Findings    []string                `json:"findings,omitempty"`  // why it counts as failed; empty: it does not
	Notes       []string                `json:"notes,omitempty"`     // what a reader should know

	// Held is the most calls that the server held, by step of the timeline. Nil: unknown.
	Held []int `json:"-"`

	order     []string // of the vias
	results   map[string]*Result
	recorders map[string]*measure.Recorder
	step      time.Duration
}

// NewReport begins the report of a run that is measured for so long.
func NewReport(length time.Duration) *Report {
	return &Report{results: map[string]*Result{}, recorders: map[string]*measure.Recorder{}, step: measure.TimelineStep(length)}
}

// Step is how long a step of the timeline is.
func (r *Report) Step() time.Duration { return r.step }

// Add adds what was measured of a via. The recorder takes no more; measured is how long the
// via was under load, and ended when that was over.
func (r *Report) Add(name string, rec *measure.Recorder, found measure.Integrity, measured, ended time.Duration) {
	r.order = append(r.order, name)
	r.recorders[name] = rec
	r.results[name] = newResult(rec, found, measured, ended)
}

// Finish adds what the outages cost each via that was added, and makes the first via's result the
// report's. compared says that vias were named.
func (r *Report) Finish(list []measure.Outage, compared bool) {
	for _, name := range r.order {
		addFailovers(r.results[name], r.recorders[name], list)
	}
	r.Result = *r.results[r.order[0]]
	if compared {
		r.Vias = r.results
	}
}

// Each calls f with the result of each via, in their order.
func (r *Report) Each(f func(name string, res *Result)) {
	for _, name := range r.order {
		f(name, r.results[name])
	}
}

// Offered is the load that was asked for.
type Offered struct {
	Rate      float64 `json:"rate"` // requests a second; 0: as many as possible
	Clients   int     `json:"clients"`
	Preset    string  `json:"preset,omitempty"`
	Mix       string  `json:"mix"`
	Size      string  `json:"size"`
	Sessions  int     `json:"sessions"`
	ThinkMS   float64 `json:"think_ms"`
	TimeoutMS float64 `json:"timeout_ms"`
	WarmupS   float64 `json:"warmup_s"`
	DurationS float64 `json:"duration_s"`
	Seed      uint64  `json:"seed"`
}

// Result is what was measured of one via.
type Result struct {
	Requests        int64                      `json:"requests"`
	Failed          int64                      `json:"failed"`
	FailedByProblem map[string]int64           `json:"failed_by_problem"`
	Seconds         float64                    `json:"seconds"`
	LatencyMS       measure.Latency            `json:"latency_ms"`
	Failovers       []measure.Failover         `json:"failovers"`
	Integrity       measure.Integrity          `json:"integrity"`
	Throughput      float64                    `json:"throughput"` // answers a second
	Busy            int64                      `json:"busy"`       // answered that somebody else has the lock
	Gone            int64                      `json:"gone"`       // answered that the session was removed
	LatencyByCall   map[string]measure.Latency `json:"latency_by_call_ms"`
	OutsideMS       *measure.Latency           `json:"latency_outside_failovers_ms,omitempty"` // of what did not meet one; absent: all did, or there was none
	FailoverCount   int                        `json:"failover_count"`                         // another partner may have become principal
	FaultCount      int                        `json:"fault_count"`                            // connections or the mirror were lost, and no principal
	ResumeMS        *Spread                    `json:"resume_ms,omitempty"`                    // over all failovers
	StartedLateMS   *measure.Latency           `json:"started_late_ms,omitempty"`              // by how much the generator itself was late

	timeline []measure.Interval
}

// Spread is quantiles of a few numbers.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spreadOf is the spread of values; nil if there are none.
func spreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	rank := func(q float64) float64 { return values[min(len(values)-1, int(q*float64(len(values))))] }
	return &Spread{P50: rank(0.5), P99: rank(0.99), Max: values[len(values)-1]}
}

// newResult reads a recorder that takes no more. measured is how long its via was under load,
// and ended when that was over.
func newResult(r *measure.Recorder, found measure.Integrity, measured, ended time.Duration) *Result {
	t := r.Totals()
	res := &Result{
		Requests: t.Requests, Failed: t.Failed, FailedByProblem: t.Problems, Seconds: measure.Seconds(measured), LatencyMS: t.Latency,
		Failovers: []measure.Failover{}, Integrity: found, Busy: t.Busy, Gone: t.Gone, LatencyByCall: t.ByCall, StartedLateMS: t.Late,
		timeline: r.Timeline(ended),
	}
	if measured > 0 {
		res.Throughput = float64(t.InTime) / measured.Seconds()
	}
	return res
}

// addFailovers adds what the outages cost a via, and how soon it was answered again: by its own
// answers, for another way may have found the new principal long before.
func addFailovers(res *Result, rec *measure.Recorder, list []measure.Outage) {
	var resumes []float64
	for i := range list {
		o := &list[i]
		f := rec.FailoverOf(o, rec.LastAnswer(o))
		res.Failovers = append(res.Failovers, f)
		if f.ResumeMS != nil {
			resumes = append(resumes, *f.ResumeMS)
		}
	}
	res.FailoverCount, res.FaultCount = measure.CountOutages(list)
	if res.FailoverCount+res.FaultCount > 0 {
		res.OutsideMS = rec.OutsideFailovers(list)
	}
	res.ResumeMS = spreadOf(resumes)
}

// Tolerance is how much of what went wrong does not make the run a failure: by name of
// the finding, the most there may be.
type Tolerance map[string]int64

// The findings that make a run a failure.
const (
	FindingFailed      = "failed"      // requests
	FindingLost        = "lost"        // acknowledged writes
	FindingGranted     = "granted"     // locks, twice
	FindingResurrected = "resurrected" // sessions that came back after their removal
	FindingGhost       = "ghost"       // writes that were refused, and took effect
	FindingDamaged     = "damaged"     // items that nobody wrote
	FindingUnread      = "unread"      // sessions that could not be read back
	FindingRefused     = "refused"     // failovers that could not be made
)

var findings = []string{FindingFailed, FindingLost, FindingGranted, FindingResurrected, FindingGhost, FindingDamaged, FindingUnread, FindingRefused}

// ParseTolerance reads --tolerate: names of findings, each with the most that is tolerated or without.
func ParseTolerance(s string) (Tolerance, error) {
	t := Tolerance{}
	for part := range strings.SplitSeq(s, ",") {
		name, most, limited := strings.Cut(strings.TrimSpace(part), "=")
		if name == "" && s == "" {
			break
		}
		if !slices.Contains(findings, name) {
			return nil, fmt.Errorf("--tolerate %q is not one of %s; failed=3 tolerates three", name, strings.Join(findings, ", "))
		}
		t[name] = math.MaxInt64
		if !limited {
			continue
		}
		n, err := strconv.ParseInt(most, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("--tolerate %s=%s: give how many are tolerated, such as %s=3", name, most, name)
		}
		t[name] = n
	}
	return t, nil
}

// Evaluate says what makes the run a failure, but for what is tolerated: of the first via,
// for the others are there to be compared with.
func (r *Report) Evaluate(t Tolerance, limits Limits) {
	i := r.Integrity
	var refused int64
	for _, f := range r.Failovers {
		if f.Refused != "" {
			refused++
		}
	}
	for _, f := range []struct {
		name  string
		n     int64
		words string
	}{
		{FindingFailed, r.Failed, "requests failed" + problemList(r.FailedByProblem)},
		{FindingLost, i.LostWrites, "acknowledged writes were lost"},
		{FindingGranted, i.DoubleGrants, "locks were granted twice"},
		{FindingResurrected, i.ResurrectedSessions, "removed sessions came back"},
		{FindingGhost, i.GhostWrites, "refused writes took effect"},
		{FindingDamaged, i.DamagedItems, "items were damaged"},
		{FindingUnread, i.UnreadSessions, "sessions could not be read back"},
		{FindingRefused, refused, "failovers could not be made"},
	} {
		if f.n > t[f.name] {
			r.Findings = append(r.Findings, fmt.Sprintf("%d %s", f.n, f.words))
		}
	}
	r.Limits = limits.check(&r.Result)
	for _, c := range r.Limits {
		if !c.Held {
			r.Findings = append(r.Findings, c.finding())
		}
	}
	if r.Requests == 0 && !r.Interrupted {
		r.Findings = append(r.Findings, "no request was answered")
	}
}

// problemList names the commonest problems.
func problemList(problems map[string]int64) string {
	names := problemsByCount(problems)
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > 3 {
		names, more = names[:3], ", …"
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, problems[name])
	}
	return " (" + strings.Join(names, ", ") + more + ")"
}

// problemsByCount are the names, commonest first.
func problemsByCount(problems map[string]int64) []string {
	var names []string
	for name := range problems {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if problems[a] != problems[b] {
			return int(problems[b] - problems[a])
		}
		return strings.Compare(a, b)
	})
	return names
}
