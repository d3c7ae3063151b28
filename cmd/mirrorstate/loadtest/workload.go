package loadtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
)

// Workload is what the clients do to the sessions.
type Workload struct {
	Preset   string // where it came from; empty: from a mix
	Mix      Mix
	Size     Range // bytes of an item
	Sessions int
	Think    time.Duration // between taking a lock and storing
}

// presets are the workloads that have a name.
var presets = []Workload{
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

// visitNames are the kinds of visits in the order in which they are named.
var visitNames = []string{"lock", "read", "touch", "renew"}

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

// workload is the preset, or the mix, with what else was said.
func (f *Flags) workload() (Workload, error) {
	w, err := parseMix(f.Mix)
	if err != nil {
		return w, err
	}
	if f.Size != "" {
		if w.Size, err = parseSize(f.Size); err != nil {
			return w, err
		}
	}
	if f.Sessions != 0 {
		w.Sessions = f.Sessions
	}
	if f.Think >= 0 {
		w.Think = f.Think
	}
	return w, nil
}

// parseMix reads a preset's name, or weights. The rest of a workload made of weights is web's.
func parseMix(s string) (Workload, error) {
	for _, p := range presets {
		if s == p.Preset || s == "" {
			p.Mix = slices.Clone(p.Mix)
			return p, nil
		}
	}
	w := presets[0]
	w.Preset, w.Mix = "", nil
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		weight, err := strconv.Atoi(value)
		switch {
		case !slices.Contains(visitNames, name):
			return w, usage("--mix %q: give web, read-mostly or cart, or weights of %s, such as lock=60,read=35,touch=5", name, strings.Join(visitNames, ", "))
		case err != nil || weight < 0 || weight > 1_000_000:
			return w, usage("--mix %s=%s: give a weight, such as %s=60", name, value, name)
		case slices.ContainsFunc(w.Mix, func(s Share) bool { return s.Visit == name }):
			return w, usage("--mix names %s twice", name)
		case weight > 0:
			w.Mix = append(w.Mix, Share{name, weight})
		}
	}
	if len(w.Mix) == 0 {
		return w, usage("--mix %s: nothing would be done; give one of them a weight above 0", s)
	}
	return w, nil
}

// parseSize reads MIN..MAX, or one size.
func parseSize(s string) (Range, error) {
	low, high, two := strings.Cut(s, "..")
	if !two {
		high = low
	}
	var r Range
	for _, bound := range []struct {
		text string
		to   *int
	}{{low, &r.Min}, {high, &r.Max}} {
		n, err := config.ParseSize(bound.text)
		if err != nil || n < minItem || n > maxItem {
			return r, usage("--size %q: give bytes from %d to %d, such as 512..8192", s, minItem, maxItem)
		}
		*bound.to = int(n)
	}
	if r.Min > r.Max {
		return r, usage("--size %q: the smaller one comes first", s)
	}
	return r, nil
}
