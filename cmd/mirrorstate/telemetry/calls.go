package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/partner"
)

// Calls counts the attempts of calls and their waits for a principal, and traces them. Any number of goroutines
// may use it.
type Calls struct {
	tracing *Tracing // nil: tracing is off

	attempts [2][]prometheus.Counter // by partner and partner.Outcomes
	took     [2]prometheus.Observer
	held     [5]prometheus.Observer // by partner.HoldOutcome

	all []prometheus.Collector
}

var (
	_ partner.Meter        = (*Calls)(nil)
	_ prometheus.Collector = (*Calls)(nil)
)

// sqlBuckets and holdBuckets are in seconds. They end at the longest attempt, and at a long hold window.
var (
	sqlBuckets  = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	holdBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}
)

// names are the names of the partners, for labels.
var names = [2]partner.Name{partner.A, partner.B}

func newCalls(tracing *Tracing) *Calls {
	c := &Calls{tracing: tracing}
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mirrorstate_sql_attempts_total",
		Help: "Attempts to run a call on a partner, by outcome: done, or the class of the error: permanent, again (such as a deadlock), " +
			"moved (the partner is not the principal), down (not reached), wait (between two roles), ambiguous (sent, no answer), caller-gone.",
	}, []string{"partner", "outcome"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mirrorstate_sql_attempt_duration_seconds", Help: "Duration of attempts, including the wait for a connection.", Buckets: sqlBuckets,
	}, []string{"partner"})
	held := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mirrorstate_hold_wait_duration_seconds",
		Help:    "How long calls waited for a principal, by outcome: drained (a principal serves), expired, left (the caller left), rejected (the hold was full), late (a principal serves, but too many calls were before this one).",
		Buckets: holdBuckets,
	}, []string{"outcome"})
	for i, name := range names {
		c.took[i] = took.WithLabelValues(string(name))
		for _, outcome := range partner.Outcomes() {
			c.attempts[i] = append(c.attempts[i], attempts.WithLabelValues(string(name), outcome))
		}
	}
	for o := range c.held {
		c.held[o] = held.WithLabelValues(partner.HoldOutcome(o).String())
	}
	c.all = []prometheus.Collector{attempts, took, held}
	return c
}

// Attempted implements partner.Meter.
func (c *Calls) Attempted(ctx context.Context, a partner.AttemptEnd) {
	i := 0
	if a.Partner == partner.B {
		i = 1
	}
	c.attempts[i][a.OutcomeIndex()].Inc()
	c.took[i].Observe(a.Ended.Sub(a.Began).Seconds())
	if c.tracing != nil {
		c.tracing.attempted(ctx, a)
	}
}

// Held implements partner.Meter.
func (c *Calls) Held(ctx context.Context, h partner.HoldEnd) {
	c.held[h.Outcome].Observe(h.Waited.Seconds())
	if c.tracing != nil {
		c.tracing.held(ctx, h)
	}
}

// Describe implements prometheus.Collector.
func (c *Calls) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect implements prometheus.Collector.
func (c *Calls) Collect(to chan<- prometheus.Metric) {
	for _, one := range c.all {
		one.Collect(to)
	}
}
