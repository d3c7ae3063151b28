package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Workload says what the clients do.
type Workload struct {
	Preset   string        // its name; empty: the mix was given as weights
	Mix      Mix           // kinds of visits
	Size     Range         // size of an item in bytes
	Sessions int           // number of sessions
	Think    time.Duration // time between acquiring a lock and the update
}

// Presets are the workloads with a name. The first one is the default.
var Presets = []Workload{
	{Preset: "web", Mix: Mix{{"lock", 60}, {"read", 34}, {"touch", 5}, {"renew", 1}}, Size: Range{512, 8192}, Sessions: 1000, Think: 5 * time.Millisecond},
	{Preset: "read-mostly", Mix: Mix{{"lock", 9}, {"read", 80}, {"touch", 10}, {"renew", 1}}, Size: Range{512, 4096}, Sessions: 1000},
	{Preset: "cart", Mix: Mix{{"lock", 80}, {"read", 18}, {"renew", 2}}, Size: Range{256, 2048}, Sessions: 24, Think: 2 * time.Millisecond},
}

// PresetNames returns the names of the presets, in their order.
func PresetNames() (names []string) {
	for _, p := range Presets {
		names = append(names, p.Preset)
	}
	return names
}

// Share is the weight of one kind of visit.
type Share struct {
	Visit  string // one of VisitNames
	Weight int    // relative to the other weights
}

// Mix has the kinds of visits with their weights. The kinds are lock (acquire, think, update and release), read, touch,
// and renew (acquire, remove, and create a new session).
type Mix []Share

// visitRequests is the number of requests of a visit.
var visitRequests = map[string]int{"lock": 2, "read": 1, "touch": 1, "renew": 3}

// VisitNames lists the kinds of visits.
var VisitNames = []string{"lock", "read", "touch", "renew"}

// Requests returns the average number of requests of a visit.
func (m Mix) Requests() float64 {
	var requests, weight int
	for _, s := range m {
		requests += s.Weight * visitRequests[s.Visit]
		weight += s.Weight
	}
	return float64(requests) / float64(weight)
}

// draw returns a random kind of visit.
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

// String returns the mix in the form of --mix.
func (m Mix) String() string {
	var parts []string
	for _, s := range m {
		parts = append(parts, fmt.Sprintf("%s=%d", s.Visit, s.Weight))
	}
	return strings.Join(parts, ",")
}

// Range is a range of sizes in bytes, both ends included.
type Range struct{ Min, Max int }

// String returns the range in the form of --size.
func (r Range) String() string { return fmt.Sprintf("%d..%d", r.Min, r.Max) }

// draw returns a random size; all are equally likely.
func (r Range) draw(random *rand.Rand) int { return r.Min + random.IntN(r.Max-r.Min+1) }
