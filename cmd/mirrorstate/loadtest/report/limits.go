package report

import (
	"fmt"
	"io"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Limits are bounds for latencies. A run that exceeds one fails. Zero means no limit.
type Limits struct {
	MaxStall time.Duration // of the requests that met a failover or a fault
	MaxP99   time.Duration // of the answers to requests that met none
}

// Checked is a limit with the value that was measured for it.
type Checked struct {
	Flag       string   `json:"flag"`        // --max-stall or --max-p99
	LimitMS    float64  `json:"limit_ms"`    // milliseconds
	MeasuredMS *float64 `json:"measured_ms"` // null: there was nothing to measure
	Held       bool     `json:"held"`        // false if there was nothing to measure

	what string // what was measured, or why nothing was
}

// newChecked returns a checked limit. measured is nil if there was nothing to measure.
func newChecked(flag string, limit time.Duration, measured *float64, what string) Checked {
	return Checked{Flag: flag, LimitMS: measure.Milliseconds(limit), MeasuredMS: measured, Held: measured != nil && *measured <= measure.Milliseconds(limit), what: what}
}

// check checks the limits that are set against a result.
func (l Limits) check(r *Result) (list []Checked) {
	if l.MaxStall > 0 {
		list = append(list, l.checkStall(r))
	}
	if l.MaxP99 > 0 {
		outside, where := &r.LatencyMS, "of all answers"
		switch {
		case len(r.Failovers) > 0 && r.OutsideMS != nil:
			outside, where = r.OutsideMS, "outside the failovers"
		case len(r.Failovers) > 0:
			where = "of all answers (each met a failover)"
		}
		list = append(list, newChecked("--max-p99", l.MaxP99, new(outside.P99), fmt.Sprintf("the p99 %s is %s", where, ShortMS(outside.P99))))
	}
	return list
}

// checkStall checks the longest stall of all failovers.
func (l Limits) checkStall(r *Result) Checked {
	var longest *measure.Failover
	for i := range r.Failovers {
		if f := &r.Failovers[i]; f.Refused == "" && (longest == nil || f.LongestStallMS > longest.LongestStallMS) {
			longest = f
		}
	}
	if longest == nil {
		return newChecked("--max-stall", l.MaxStall, nil, "there was no failover")
	}
	return newChecked("--max-stall", l.MaxStall, &longest.LongestStallMS,
		fmt.Sprintf("the longest stall was %s, in the %s at %.1f s", ShortMS(longest.LongestStallMS), kindWords(longest.Kind), longest.AtS))
}

// limit returns the limit as on the command line.
func (c *Checked) limit() string {
	return fmt.Sprintf("%s %v", c.Flag, time.Duration(c.LimitMS*float64(time.Millisecond)))
}

// Summary returns the limit and the result of the check as one line of text.
func (c Checked) Summary() string {
	verdict := "exceeded"
	switch {
	case c.MeasuredMS == nil:
		verdict = "not checked"
	case c.Held:
		verdict = "held"
	}
	return fmt.Sprintf("%s %s: %s", c.limit(), verdict, c.what)
}

// finding returns why the limit makes the run fail.
func (c *Checked) finding() string {
	if c.MeasuredMS == nil {
		return fmt.Sprintf("%s could not be checked: %s", c.limit(), c.what)
	}
	return fmt.Sprintf("%s, more than %s", c.what, c.limit())
}

// writeLimits writes the limits and the results of their checks.
func (r *Report) writeLimits(out io.Writer) {
	if len(r.Limits) > 0 {
		fmt.Fprintln(out)
	}
	for _, c := range r.Limits {
		fmt.Fprintf(out, "limit: %s\n", c.Summary())
	}
}

// kindWords returns the name of a kind of failover for use in a sentence.
func kindWords(kind string) string {
	switch kind {
	case measure.KindManual:
		return "planned failover"
	case measure.KindForce:
		return "forced failover"
	case measure.KindObserved:
		return "failover"
	case measure.KindIsolate:
		return "isolation"
	case measure.KindSever:
		return "cut of all connections"
	}
	return kind
}
