package proxy

import "sync/atomic"

// Stats counts what an [API] did since it was made.
type Stats struct {
	Problems map[string]uint64 // answers by the problem's name; "not-found" for paths that are no route
	Left     uint64            // callers that left before their answer
	Waiters  WaiterStats
	Access   AccessStats
	Memory   MemoryStats

	Admission AdmissionStats

	RequestsKept  int64  // operations whose content is remembered now
	KeptForgotten uint64 // forgotten before their time, because there were too many
	Registrations uint64 // refused: the caller had registered too many applications
}

// problemCounts may be used by any number of goroutines.
type problemCounts struct {
	by   [kindCount]atomic.Uint64
	left atomic.Uint64

	requests *requestMetrics // the same by route, for Prometheus
}

// snapshot names the problems that have happened.
func (c *problemCounts) snapshot() map[string]uint64 {
	named := make(map[string]uint64)
	for k := range kindCount {
		if n := c.by[k].Load(); n > 0 {
			named[k.name()] = n
		}
	}
	return named
}

// Stats reads the counters; they are not of one instant.
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
