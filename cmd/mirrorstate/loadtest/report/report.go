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

// Report is the result of a load test. Its JSON is the output of --json; the shape is fixed and may
// only grow. The top level is the result of the first via. Vias holds the results of all vias, if
// vias were named.
type Report struct {
	Result
	Vias map[string]*Result `json:"vias,omitempty"` // all vias by name; nil: none were named

	Version     string                  `json:"version,omitempty"` // of this program
	Tested      Tested                  `json:"tested"`
	Began       time.Time               `json:"began"`                 // when measuring started, in UTC
	Interrupted bool                    `json:"interrupted,omitempty"` // the run was interrupted
	Load        Offered                 `json:"load"`
	Processes   map[string]measure.Cost `json:"processes,omitempty"` // by name; "generator" is the load test itself
	Limits      []Checked               `json:"limits,omitempty"`    // the limits that were set
	Findings    []string                `json:"findings,omitempty"`  // why the run failed; empty: it did not
	Notes       []string                `json:"notes,omitempty"`     // what a reader should know

	// Held is the largest number of calls that the server held, by step of the timeline. Nil:
	// unknown.
	Held []int `json:"-"`

	order     []string // names of the vias, in their order
	results   map[string]*Result
	recorders map[string]*measure.Recorder
	step      time.Duration
}

// New returns the report of a run that is measured for length. Add the vias, then call Finish.
func New(length time.Duration) *Report {
	return &Report{results: map[string]*Result{}, recorders: map[string]*measure.Recorder{}, step: measure.TimelineStep(length)}
}

// Step returns the length of a step of the timeline.
func (r *Report) Step() time.Duration { return r.step }

// Add adds a via. Its recorder must not get any more samples. measured is how long the via was under load, and ended is
// when the load ended, on the run's clock.
func (r *Report) Add(name string, rec *measure.Recorder, found measure.Integrity, measured, ended time.Duration) {
	r.order = append(r.order, name)
	r.recorders[name] = rec
	r.results[name] = newResult(rec, found, measured, ended)
}

// Finish adds the costs of the outages to each via, and copies the result of the first via to the top level. It must be
// called once, after all calls of Add. compared is true if vias were named.
func (r *Report) Finish(list []measure.Outage, compared bool) {
	for _, name := range r.order {
		addFailovers(r.results[name], r.recorders[name], list)
	}
	r.Result = *r.results[r.order[0]]
	if compared {
		r.Vias = r.results
	}
}

// Each calls f with the result of each via, in the order of the calls of Add.
func (r *Report) Each(f func(name string, res *Result)) {
	for _, name := range r.order {
		f(name, r.results[name])
	}
}

// Offered is the load that was configured.
type Offered struct {
	Rate      float64 `json:"rate"`             // requests a second; 0: as many as possible
	Clients   int     `json:"clients"`          // how many requests may be under way
	Preset    string  `json:"preset,omitempty"` // name of the workload; empty: the mix was given as weights
	Mix       string  `json:"mix"`              // in the form of --mix
	Size      string  `json:"size"`             // in the form of --size
	Sessions  int     `json:"sessions"`         // of each via
	ThinkMS   float64 `json:"think_ms"`         // milliseconds between acquiring a lock and the update
	TimeoutMS float64 `json:"timeout_ms"`       // milliseconds that a client waits for an answer
	WarmupS   float64 `json:"warmup_s"`         // seconds of load before measuring
	DurationS float64 `json:"duration_s"`       // seconds to measure
	Seed      uint64  `json:"seed"`             // selects the random numbers
}

// Result holds the measurements of one via.
type Result struct {
	Requests        int64                      `json:"requests"`          // requests that were due while the run was measured
	Failed          int64                      `json:"failed"`            // those of them that failed
	FailedByProblem map[string]int64           `json:"failed_by_problem"` // failures by problem name
	Seconds         float64                    `json:"seconds"`           // how long the via was under load
	LatencyMS       measure.Latency            `json:"latency_ms"`        // of all answers
	Failovers       []measure.Failover         `json:"failovers"`         // failovers and faults, by time
	Integrity       measure.Integrity          `json:"integrity"`
	Throughput      float64                    `json:"throughput"`                             // answers a second
	Busy            int64                      `json:"busy"`                                   // answers that another client holds the lock
	Gone            int64                      `json:"gone"`                                   // answers that the session was removed
	LatencyByCall   map[string]measure.Latency `json:"latency_by_call_ms"`                     // of all answers, by call
	OutsideMS       *measure.Latency           `json:"latency_outside_failovers_ms,omitempty"` // of requests that met no failover; absent: there were none, or no failover
	FailoverCount   int                        `json:"failover_count"`                         // failovers and faults that can have changed the principal
	FaultCount      int                        `json:"fault_count"`                            // faults that can not have changed the principal: lost connections, or a lost mirror
	ResumeMS        *Spread                    `json:"resume_ms,omitempty"`                    // over all failovers
	StartedLateMS   *measure.Latency           `json:"started_late_ms,omitempty"`              // how late the generator itself sent requests

	timeline []measure.Interval
}

// Spread holds quantiles of a few numbers.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spreadOf returns the quantiles of values, or nil if there are none. It sorts values.
func spreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	rank := func(q float64) float64 { return values[min(len(values)-1, int(q*float64(len(values))))] }
	return &Spread{P50: rank(0.5), P99: rank(0.99), Max: values[len(values)-1]}
}

// newResult returns the result of a recorder that gets no more samples. measured is how long its via was under load,
// and ended is when the load ended.
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

// addFailovers adds the costs of the outages to a via. It uses only the via's own answers, because another via may have
// found the new principal long before.
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

// Tolerance maps the names of findings that do not make the run fail to the largest tolerated number.
type Tolerance map[string]int64

// The names of the findings that make a run fail.
const (
	FindingFailed      = "failed"      // failed requests
	FindingLost        = "lost"        // lost acknowledged writes
	FindingGranted     = "granted"     // locks granted twice
	FindingResurrected = "resurrected" // sessions found after their removal
	FindingGhost       = "ghost"       // writes that were refused and took effect
	FindingDamaged     = "damaged"     // items that the load did not write
	FindingUnread      = "unread"      // sessions that could not be read back
	FindingRefused     = "refused"     // failovers that did not happen
)

// Findings lists the names of the findings.
var Findings = []string{FindingFailed, FindingLost, FindingGranted, FindingResurrected, FindingGhost, FindingDamaged, FindingUnread, FindingRefused}

// ParseTolerance parses --tolerate: names of findings separated by commas, each with the number
// that is tolerated (failed=3), or without one if any number is.
func ParseTolerance(s string) (Tolerance, error) {
	t := Tolerance{}
	for part := range strings.SplitSeq(s, ",") {
		name, most, limited := strings.Cut(strings.TrimSpace(part), "=")
		if name == "" && s == "" {
			break
		}
		if !slices.Contains(Findings, name) {
			return nil, fmt.Errorf("--tolerate %q is not one of %s; use for example failed=3", name, strings.Join(Findings, ", "))
		}
		t[name] = math.MaxInt64
		if !limited {
			continue
		}
		n, err := strconv.ParseInt(most, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("--tolerate %s=%s: the number must be 0 or more, such as %s=3", name, most, name)
		}
		t[name] = n
	}
	return t, nil
}

// Evaluate adds the findings that make the run fail, and the limits. It uses only the first via; the others are for
// comparison.
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

// problemList returns the three most frequent problems with their numbers.
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

// problemsByCount returns the names of the problems, the most frequent first.
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
