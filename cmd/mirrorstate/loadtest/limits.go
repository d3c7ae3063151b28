package loadtest

import (
	"fmt"
	"time"
)

// Limits are what may not be exceeded, or the run counts as failed. Zero: no limit.
type Limits struct {
	MaxStall time.Duration // of a request that met a failover or a fault
	MaxP99   time.Duration // of the answers that met none
}

// exceeded says which limits a result does not keep.
func (l Limits) exceeded(r *Result) (findings []string) {
	if l.MaxStall > 0 {
		for _, f := range r.Failovers {
			if f.LongestStallMS > ms(l.MaxStall) {
				findings = append(findings, fmt.Sprintf("a request waited %s in the %s at %.1f s, longer than --max-stall %v", shortMS(f.LongestStallMS), f.Kind, f.AtS, l.MaxStall))
			}
		}
	}
	calm := &r.LatencyMS
	if len(r.Failovers) > 0 && r.CalmMS != nil {
		calm = r.CalmMS
	}
	if l.MaxP99 > 0 && calm.P99 > ms(l.MaxP99) {
		findings = append(findings, fmt.Sprintf("outside the failovers the p99 is %s, more than --max-p99 %v", shortMS(calm.P99), l.MaxP99))
	}
	return findings
}

// check refuses limits that mean nothing.
func (l Limits) check() error {
	for flag, limit := range map[string]time.Duration{"--max-stall": l.MaxStall, "--max-p99": l.MaxP99} {
		if limit < 0 {
			return usage("%s %v: give a time such as 1s, or 0 for no limit", flag, limit)
		}
	}
	return nil
}
