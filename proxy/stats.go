package proxy

import "sync/atomic"

// Stats has the counters of an [API] since its start.
type Stats struct {
	Problems map[string]uint64 // answers by the problem's name; "not-found" for unknown paths
	Left     uint64            // clients that left before their answer
	Waiters  WaiterStats
	Access   AccessStats
	Memory   MemoryStats

	Admission AdmissionStats

	RequestsKept  int64  // operations whose content is remembered now
	KeptForgotten uint64 // operations that were forgotten before their time, because there were too many
	Registrations uint64 // applications refused because their caller had registered too many
}

// problemCounts counts the problems answered. Any number of goroutines may use it.
type problemCounts struct {
	by   [kindCount]atomic.Uint64
	left atomic.Uint64

	requests *requestMetrics // the same by route, for Prometheus
}

// snapshot returns the counts of the problems that have occurred.
func (c *problemCounts) snapshot() map[string]uint64 {
	named := make(map[string]uint64)
	for k := range kindCount {
		if n := c.by[k].Load(); n > 0 {
			named[k.name()] = n
		}
	}
	return named
}

// Stats returns the counters. They are read one after the other, so they may not fit together exactly.
func (a *API) Stats() Stats {
	return Stats{
		Problems: a.report.counts.snapshot(),
		Left:     a.report.counts.left.Load(),
		Waiters:  a.waiters.stats(),
		Access:   a.gate.counts.stats(),
		Memory:   a.memory.stats(),

		Admission: a.admission.stats(),

		RequestsKept: a.requests.len(), KeptForgotten: a.requests.forgotten.Load(),
		Registrations: a.registrations.refused.Load(),
	}
}
