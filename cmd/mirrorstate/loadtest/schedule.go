package loadtest

import (
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// Planned is a failover that the load test will make.
type Planned struct {
	Kind string        // one of [measure.Kinds]
	At   time.Duration // on the run's clock
}

// demonstration is one failover of each kind that a pair with a witness supports, in one minute.
var demonstration = []Planned{
	{measure.KindManual, 4 * time.Second}, {measure.KindCrash, 9 * time.Second}, {measure.KindFreeze, 20 * time.Second},
	{measure.KindIsolate, 32 * time.Second}, {measure.KindPartition, 44 * time.Second}, {measure.KindSever, 55 * time.Second},
}

// plan parses --failover. Without the flag, the load test's own pair gets a failover of each kind.
// A target, a comparison and a run at full speed get none.
func (o *Options) plan(s string) (list []Planned, err error) {
	switch {
	case s == "none":
		return nil, nil
	case s != "":
		list, err = parseFailovers(s)
	case len(o.Targets) == 0 && o.ConnectionString == "" && !o.Compared && o.Rate > 0:
		list = slices.Clone(demonstration)
		list = slices.DeleteFunc(list, func(p Planned) bool { return p.At+measure.Recovery(p.Kind) > o.Duration })
	}
	if err != nil {
		return nil, err
	}
	if len(list) > 0 && len(o.Targets) > 0 && o.Admin == "" {
		return nil, usage("--failover needs --admin, the URL of the target's operators' listener; without it, make the failovers yourself while the load runs")
	}
	return list, o.checkPlan(list)
}

func parseFailovers(s string) ([]Planned, error) {
	var list []Planned
	for part := range strings.SplitSeq(s, ",") {
		kind, at, _ := strings.Cut(strings.TrimSpace(part), "@")
		if !slices.Contains(measure.Kinds, kind) {
			return nil, usage("--failover %q is not one of %s; use for example manual@15s,crash@30s, or none", kind, strings.Join(measure.Kinds, ", "))
		}
		when, err := time.ParseDuration(at)
		if err != nil || when < 0 {
			return nil, usage("--failover %s@%s: the time must be a duration from the start of measuring, such as %s@15s", kind, at, kind)
		}
		list = append(list, Planned{kind, when})
	}
	slices.SortStableFunc(list, func(a, b Planned) int { return int(a.At - b.At) })
	return list, nil
}

// checkPlan returns an error if a failover is too late, or too soon after another one.
func (o *Options) checkPlan(list []Planned) error {
	for i, p := range list {
		if p.At >= o.Duration {
			return usage("--failover %s@%v is not before the end of the run; set an earlier time, or a longer --duration than %v", p.Kind, p.At, o.Duration)
		}
		if i == 0 {
			continue
		}
		before := list[i-1]
		if gap := measure.Recovery(before.Kind); p.At-before.At < gap {
			return usage("--failover %s@%v is too soon after %s@%v, which takes %v: set %v or later",
				p.Kind, p.At, before.Kind, before.At, gap, before.At+gap)
		}
	}
	return nil
}

// needsNoWitness reports whether the load test's own pair must have no witness. With a witness the mirror takes over
// automatically, and service is never forced.
func needsNoWitness(list []Planned) bool {
	return slices.ContainsFunc(list, func(p Planned) bool { return p.Kind == measure.KindForce })
}
