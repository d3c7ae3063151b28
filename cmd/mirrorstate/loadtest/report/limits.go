package report

import (
	"fmt"
	"io"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Limits are what may not be exceeded, or the run counts as failed. Zero: no limit.
type Limits struct {
	MaxStall time.Duration // of a request that met a failover or a fault
	MaxP99   time.Duration // of the answers that met none
}

// Checked is a limit that was asked for, and what was measured of it.
type Checked struct {
	Flag       string   `json:"flag"`
	LimitMS    float64  `json:"limit_ms"`
	MeasuredMS *float64 `json:"measured_ms"` // null: there was nothing to measure, so the limit says nothing
	Held       bool     `json:"held"`        // not where there was nothing to measure

	what string // was measured, or why nothing was
}

// newChecked is a limit that is held if something was measured that is no more.
func newChecked(flag string, limit time.Duration, measured *float64, what string) Checked {
	return Checked{Flag: flag, LimitMS: measure.Milliseconds(limit), MeasuredMS: measured, Held: measured != nil && *measured <= measure.Milliseconds(limit), what: what}
}

// check holds the limits that were asked for against a result.
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

// checkStall holds the longest stall of all failovers against its limit.
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
		fmt.Sprintf("the longest wait was %s, in the %s at %.1f s", ShortMS(longest.LongestStallMS), kindWords(longest.Kind), longest.AtS))
}

// limit is the limit as it was asked for.
func (c *Checked) limit() string {
	return fmt.Sprintf("%s %v", c.Flag, time.Duration(c.LimitMS*float64(time.Millisecond)))
}

// Summary are the limit and what became of it, for people.
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

// finding is why a limit that was not held makes the run a failure.
func (c *Checked) finding() string {
	if c.MeasuredMS == nil {
		return fmt.Sprintf("%s could not be checked: %s", c.limit(), c.what)
	}
	return fmt.Sprintf("%s, more than %s", c.what, c.limit())
}

// writeLimits writes which limits were checked, and what became of them.
func (r *Report) writeLimits(out io.Writer) {
	if len(r.Limits) > 0 {
		fmt.Fprintln(out)
	}
	for _, c := range r.Limits {
		fmt.Fprintf(out, "limit: %s\n", c.Summary())
	}
}

// kindWords names a failover or fault within a sentence.
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
