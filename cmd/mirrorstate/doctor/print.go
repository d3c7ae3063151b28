package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// titles are the headings of the parts of a report.
var titles = map[Level]string{
	Fail:      "To fix, in this order:",
	Warn:      "Warnings:",
	Unchecked: "Not checked:",
	OK:        "OK:",
}

// Print writes the report for people.
func (r *Report) Print(out io.Writer) error {
	var w strings.Builder
	topology := r.Topology
	if topology == "" {
		topology = "not known as a pair"
	}
	fmt.Fprintf(&w, "%s on a (%s) and b (%s), %s: %d to fix, %d warnings, %d not checked, %d OK\n",
		r.Database, r.Servers[0], r.Servers[1], topology, r.Count(Fail), r.Count(Warn), r.Count(Unchecked), r.Count(OK))
	n := 0
	for _, level := range levels {
		if r.Count(level) == 0 {
			continue
		}
		fmt.Fprintf(&w, "\n%s\n", titles[level])
		for _, f := range r.together(level) {
			mark := "  - "
			if level == Fail || level == Warn {
				n++
				mark = fmt.Sprintf("%3d ", n)
			}
			f.print(&w, mark)
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// together returns the findings of a level. Checks that were not made for the same reason become one finding, with the
// names of all of them.
func (r *Report) together(level Level) (list []Finding) {
	for _, f := range r.Findings {
		if f.Level != level {
			continue
		}
		f.Check, f.On = f.where(), ""
		i := slices.IndexFunc(list, func(g Finding) bool { return level == Unchecked && g.Found == f.Found && g.Mend == f.Mend })
		if i >= 0 {
			list[i].Check += ", " + f.Check
			continue
		}
		list = append(list, f)
	}
	return list
}

// where returns the name of the check and its side.
func (f Finding) where() string {
	if f.On == "" {
		return f.Check
	}
	return f.Check + " on " + f.On
}

// print writes one finding.
func (f Finding) print(w io.Writer, mark string) {
	where := f.where()
	fmt.Fprintf(w, "%s%s: %s.\n", mark, where, strings.TrimSuffix(f.Found, "."))
	if f.Mend != "" {
		fmt.Fprintf(w, "      %s.\n", strings.TrimSuffix(f.Mend, "."))
	}
	if f.Command != "" {
		fmt.Fprintf(w, "      > %s\n", f.Command)
	}
}

// PrintJSON writes the report as JSON, with the counts by level first.
func (r *Report) PrintJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	counts := map[Level]int{}
	for _, level := range levels {
		counts[level] = r.Count(level)
	}
	return enc.Encode(struct {
		OK     bool          `json:"ok"` // no finding is of level Fail
		Counts map[Level]int `json:"counts"`
		*Report
	}{r.Count(Fail) == 0, counts, r})
}
