package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a load test found: the JSON of --json, whose shape is fixed and may grow.
// The top level is that of the first via, and Vias are all, where they were compared.
type Report struct {
	Result
	Vias map[string]*Result `json:"vias,omitempty"`

	Version     string          `json:"version,omitempty"`
	Tested      Tested          `json:"tested"`
	Began       time.Time       `json:"began"`
	Interrupted bool            `json:"interrupted,omitempty"`
	Load        Offered         `json:"load"`
	Processes   map[string]Cost `json:"processes,omitempty"` // by name; generator is the load test itself
	Limits      []Checked       `json:"limits,omitempty"`    // that were asked for
	Findings    []string        `json:"findings,omitempty"`  // why it counts as failed; empty: it does not
	Notes       []string        `json:"notes,omitempty"`     // what a reader should know

	order   []string // of the vias
	results map[string]*Result
	held    []int // by step of the timeline: the most calls that the server held
	step    time.Duration
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
	Requests        int64              `json:"requests"`
	Failed          int64              `json:"failed"`
	FailedByProblem map[string]int64   `json:"failed_by_problem"`
	Seconds         float64            `json:"seconds"`
	LatencyMS       Latency            `json:"latency_ms"`
	Failovers       []Failover         `json:"failovers"`
	Integrity       Integrity          `json:"integrity"`
	Throughput      float64            `json:"throughput"` // answers a second
	Busy            int64              `json:"busy"`       // answered that somebody else has the lock
	Gone            int64              `json:"gone"`       // answered that the session was removed
	LatencyByCall   map[string]Latency `json:"latency_by_call_ms"`
	CalmMS          *Latency           `json:"latency_outside_failovers_ms,omitempty"` // of what did not meet one; absent: all did, or there was none
	FailoverCount   int                `json:"failover_count"`                         // another partner may have become principal
	FaultCount      int                `json:"fault_count"`                            // connections or the mirror were lost, and no principal
	ResumeMS        *Spread            `json:"resume_ms,omitempty"`                    // over all failovers
	StartedLateMS   *Latency           `json:"started_late_ms,omitempty"`              // by how much the generator itself was late

	timeline []Interval
}

// Failover is what one failover cost.
type Failover struct {
	Kind           string   `json:"kind"`
	Partner        string   `json:"partner,omitempty"` // whom it happened to
	AtS            float64  `json:"at_s"`
	NoPrincipalMS  *float64 `json:"no_principal_ms"` // null: nobody served again
	LongestStallMS float64  `json:"longest_stall_ms"`
	ResumeMS       *float64 `json:"resume_ms"` // null: nothing was answered after
	Failed         int64    `json:"failed"`
	Refused        string   `json:"refused,omitempty"` // why it was not made
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

// offered is the load of the options.
func (o *Options) offered() Offered {
	return Offered{
		Rate: o.Rate, Clients: o.Clients, Preset: o.Preset, Mix: o.Mix.String(), Size: o.Size.String(), Sessions: o.Sessions,
		ThinkMS: ms(o.Think), TimeoutMS: ms(o.Timeout), WarmupS: seconds(o.Warmup), DurationS: seconds(o.Duration), Seed: o.Seed,
	}
}

// result reads a recorder that takes no more. measured is how long its via was under load,
// and ended when that was over.
func (r *Recorder) result(found Integrity, measured, ended time.Duration) *Result {
	res := &Result{Integrity: found, Seconds: seconds(measured), LatencyByCall: map[string]Latency{}, Failovers: []Failover{}}
	res.timeline = r.Timeline()[:min(ended, r.length)/r.step]
	r.mu.Lock()
	defer r.mu.Unlock()
	res.Requests, res.Failed, res.Busy, res.Gone = r.requests, r.failed, r.busy, r.gone
	res.FailedByProblem, res.LatencyMS = r.problems, r.total.latency()
	for v := range verbs {
		if r.byVerb[v].h.TotalCount() > 0 {
			res.LatencyByCall[v.String()] = r.byVerb[v].latency()
		}
	}
	if r.early.h.TotalCount() > 0 {
		res.StartedLateMS = pointer(r.early.latency())
	}
	if measured > 0 {
		res.Throughput = float64(r.inTime) / measured.Seconds()
	}
	return res
}

// addFailovers adds what the outages cost each via, and how soon it was answered again.
func addFailovers(results []*Result, recorders []*Recorder, list []Outage) {
	for i := range list {
		o := &list[i]
		for j, r := range recorders { // each by its own answers: another way may have found the new principal long before
			results[j].Failovers = append(results[j].Failovers, r.failover(o, r.lastAnswer(o)))
		}
	}
	for j, res := range results {
		res.FailoverCount, res.FaultCount = counts(list)
		if res.FailoverCount+res.FaultCount > 0 {
			res.CalmMS = recorders[j].calm(list)
		}
		var resumes []float64
		for _, f := range res.Failovers {
			if f.ResumeMS != nil {
				resumes = append(resumes, *f.ResumeMS)
			}
		}
		res.ResumeMS = spreadOf(resumes)
	}
}

// judge says what makes the run a failure, but for what is tolerated: of the first via,
// for the others are there to be compared with.
func (r *Report) judge(t Tolerance, limits Limits) {
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
		{findFailed, r.Failed, "requests failed" + worst(r.FailedByProblem)},
		{findLost, i.LostWrites, "acknowledged writes were lost"},
		{findGranted, i.DoubleGrants, "locks were granted twice"},
		{findResurrected, i.ResurrectedSessions, "removed sessions came back"},
		{findGhost, i.GhostWrites, "refused writes took effect"},
		{findDamaged, i.DamagedItems, "items were damaged"},
		{findUnread, i.UnreadSessions, "sessions could not be read back"},
		{findRefused, refused, "failovers could not be made"},
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

// note adds what a reader should know.
func (r *Report) note(run *run) {
	if r.Interrupted {
		r.Notes = append(r.Notes, fmt.Sprintf("interrupted after %.1f s: this is what was measured until then", r.Seconds))
	}
	for _, m := range run.made {
		if m.Left != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("the fault %s on partner %s was not lifted: %s", m.Kind, m.Partner, m.Left))
		}
	}
	for _, name := range r.order {
		if n := r.results[name].FailedByProblem[notStarted]; n > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: for %d visits no client was free until %v after the end: the server is slower than --rate %g, or --clients %d were too few",
				name, n, catchUp, run.Rate, run.Clients))
		}
	}
	if r.StartedLateMS != nil && r.StartedLateMS.P90 > lateGenerator {
		r.Notes = append(r.Notes, fmt.Sprintf("the generator itself started requests late (one in ten by %s or more): this machine is busy, and part of the latencies is its own", shortMS(r.StartedLateMS.P90)))
	}
	if run.operator == nil {
		r.Notes = append(r.Notes, "without --admin no failover is recognised")
	}
}

// lateGenerator is from what lateness of one request in ten on that is said, in milliseconds.
const lateGenerator = 2

// worst names the commonest problems.
func worst(problems map[string]int64) string {
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
