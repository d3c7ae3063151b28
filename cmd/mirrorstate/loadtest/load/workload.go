package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Workload is what the clients do to the sessions.
type Workload struct {
	Preset   string // where it came from; empty: from a mix
	Mix      Mix
	Size     Range // bytes of an item
	Sessions int
	Think    time.Duration // between taking a lock and storing
}

// Presets are the workloads that have a name.
var Presets = []Workload{
	{Preset: "web", Mix: Mix{{"lock", 60}, {"read", 34}, {"touch", 5}, {"renew", 1}}, Size: Range{512, 8192}, Sessions: 1000, Think: 5 * time.Millisecond},
	{Preset: "read-mostly", Mix: Mix{{"lock", 9}, {"read", 80}, {"touch", 10}, {"renew", 1}}, Size: Range{512, 4096}, Sessions: 1000},
	{Preset: "cart", Mix: Mix{{"lock", 80}, {"read", 18}, {"renew", 2}}, Size: Range{256, 2048}, Sessions: 24, Think: 2 * time.Millisecond},
}

// Share is how often one kind of visit comes.
type Share struct {
	Visit  string
	Weight int
}

// Mix is what visits there are: lock (acquire, think, store and release), read, touch,
// and renew (a session is removed, and a new one takes its place).
type Mix []Share

// visitRequests is how many requests a visit is.
var visitRequests = map[string]int{"lock": 2, "read": 1, "touch": 1, "renew": 3}

// VisitNames are the kinds of visits in the order in which they are named.
var VisitNames = []string{"lock", "read", "touch", "renew"}

// Requests is how many requests a visit is on average.
func (m Mix) Requests() float64 {
	var requests, weight int
	for _, s := range m {
		requests += s.Weight * visitRequests[s.Visit]
		weight += s.Weight
	}
	return float64(requests) / float64(weight)
}

// draw chooses a visit.
func (m Mix) draw(random *rand.Rand) string {
	var sum int
	for _, s := range m {
		sum += s.Weight
	}
	n := random.IntN(sum)
	for _, s := range m {
		if n < s.Weight {
			return s.Visit
		}
		n -= s.Weight
	}
	panic("a weight was not counted") // a bug
}

// String is the mix as --mix takes it.
func (m Mix) String() string {
	var parts []string
	for _, s := range m {
		parts = append(parts, fmt.Sprintf("%s=%d", s.Visit, s.Weight))
	}
	return strings.Join(parts, ",")
}

// Range is between how many bytes an item has, both included.
type Range struct{ Min, Max int }

// String is the range as --size takes it.
func (r Range) String() string { return fmt.Sprintf("%d..%d", r.Min, r.Max) }

// draw chooses a size; every one is as likely.
func (r Range) draw(random *rand.Rand) int { return r.Min + random.IntN(r.Max-r.Min+1) }
