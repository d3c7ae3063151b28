package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts latencies in microseconds, up to ten minutes. It has no lock of its own.
type histogram struct{ h *hdrhistogram.Histogram }

// The range of a histogram in microseconds.
const (
	leastLatency = 1
	mostLatency  = int64(10 * time.Minute / time.Microsecond)
)

// newHistogram returns an empty histogram with this many significant digits. With 3 digits the
// error is at most one in a thousand.
func newHistogram(digits int) histogram {
	return histogram{hdrhistogram.New(leastLatency, mostLatency, digits)}
}

// add counts a latency. A latency out of range counts as the nearest one in range.
func (h histogram) add(d time.Duration) {
	us := max(leastLatency, min(mostLatency, d.Microseconds()))
	_ = h.h.RecordValue(us) // the value is in range
}

// without returns the histogram minus the counts of another one with the same digits.
func (h histogram) without(other histogram) histogram {
	all, less := h.h.Export(), other.h.Export()
	for i, n := range less.Counts {
		all.Counts[i] -= n
	}
	return histogram{hdrhistogram.Import(all)}
}

// Latency holds quantiles of latencies in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (h histogram) latency() Latency {
	q := func(p float64) float64 { return float64(h.h.ValueAtQuantile(p)) / 1000 }
	return Latency{P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: float64(h.h.Max()) / 1000}
}
