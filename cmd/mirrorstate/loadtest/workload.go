package loadtest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/config"
)

// workload returns the workload of the flags.
func (f *Flags) workload() (load.Workload, error) {
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

// parseMix parses the name of a workload, or weights. With weights the rest of the workload is that
// of web.
func parseMix(s string) (load.Workload, error) {
	for _, p := range load.Presets {
		if s == p.Preset || s == "" {
			p.Mix = slices.Clone(p.Mix)
			return p, nil
		}
	}
	w := load.Presets[0]
	w.Preset, w.Mix = "", nil
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		weight, err := strconv.Atoi(value)
		switch {
		case !slices.Contains(load.VisitNames, name):
			return w, usage("--mix %q must be web, read-mostly or cart, or weights of %s, such as lock=60,read=35,touch=5", name, strings.Join(load.VisitNames, ", "))
		case err != nil || weight < 0 || weight > 1_000_000:
			return w, usage("--mix %s=%s: the weight must be a number from 0 to 1000000, such as %s=60", name, value, name)
		case slices.ContainsFunc(w.Mix, func(s load.Share) bool { return s.Visit == name }):
			return w, usage("--mix names %s twice", name)
		case weight > 0:
			w.Mix = append(w.Mix, load.Share{Visit: name, Weight: weight})
		}
	}
	if len(w.Mix) == 0 {
		return w, usage("--mix %s: at least one weight must be above 0", s)
	}
	return w, nil
}

// parseSize parses MIN..MAX, or one size.
func parseSize(s string) (load.Range, error) {
	low, high, two := strings.Cut(s, "..")
	if !two {
		high = low
	}
	var r load.Range
	for _, bound := range []struct {
		text string
		to   *int
	}{{low, &r.Min}, {high, &r.Max}} {
		n, err := config.ParseSize(bound.text)
		if err != nil || n < measure.MinItem || n > maxItem {
			return r, usage("--size %q must be %d to %d bytes, such as 512..8192", s, measure.MinItem, maxItem)
		}
		*bound.to = int(n)
	}
	if r.Min > r.Max {
		return r, usage("--size %q: the smaller size must come first", s)
	}
	return r, nil
}
