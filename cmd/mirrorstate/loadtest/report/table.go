package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Write writes the report as text.
func (r *Report) Write(out io.Writer) error {
	fmt.Fprintf(out, "%s\n%s\n\n", r.headline(), r.Tested.Summary())
	if err := r.writeVias(out); err != nil {
		return err
	}
	if err := r.writeFailovers(out); err != nil {
		return err
	}
	if err := r.writeIntegrity(out); err != nil {
		return err
	}
	if text := r.costs(); text != "" {
		fmt.Fprintf(out, "\n%s\n", text)
	}
	r.writeLimits(out)
	for _, note := range r.Notes {
		fmt.Fprintf(out, "\nnote: %s\n", note)
	}
	_, err := fmt.Fprintf(out, "\n%s\n", r.verdict())
	return err
}

// headline describes the load.
func (r *Report) headline() string {
	rate := fmt.Sprintf("%g requests/s", r.Load.Rate)
	if len(r.order) > 1 {
		rate += " for each via"
	}
	switch {
	case r.Load.Rate == 0 && len(r.order) > 1:
		rate = "full speed, one via at a time"
	case r.Load.Rate == 0:
		rate = "full speed"
	}
	mix := r.Load.Mix
	if r.Load.Preset != "" {
		mix = r.Load.Preset + " (" + mix + ")"
	}
	return fmt.Sprintf("%.0f s at %s, %d clients on %d sessions, mix %s, items of %s bytes, think time %g ms, seed %d",
		r.Load.DurationS, rate, r.Load.Clients, r.Load.Sessions, mix, strings.Replace(r.Load.Size, "..", " to ", 1), r.Load.ThinkMS, r.Load.Seed)
}

// verdict returns the last sentence of the report. If vias were compared, it also says what failed
// in the others.
func (r *Report) verdict() string {
	text := "nothing failed, nothing was lost, no lock was granted twice"
	switch made := countWords(r.FailoverCount, r.FaultCount); {
	case len(r.Findings) > 0:
		text = "FAILED: " + strings.Join(r.Findings, "; ")
	case made != "":
		text = made + ": " + text
	}
	if len(r.order) < 2 {
		return strings.ToUpper(text[:1]) + text[1:] + "."
	}
	text = r.order[0] + ": " + text + "."
	for _, name := range r.order[1:] {
		v := r.results[name]
		text += fmt.Sprintf(" %s: %d failed, %d lost, %d granted twice.", name, v.Failed, v.Integrity.LostWrites, v.Integrity.DoubleGrants)
	}
	return text
}

// countWords says how many failovers and faults there were.
func countWords(failovers, faults int) string {
	var parts []string
	for _, c := range []struct {
		n    int
		name string
	}{{failovers, "failover"}, {faults, "fault"}} {
		switch {
		case c.n == 1:
			parts = append(parts, "one "+c.name)
		case c.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", c.n, c.name))
		}
	}
	return strings.Join(parts, " and ")
}

// wordColumns are the headings of the columns that contain words. The others contain numbers.
var wordColumns = []string{"via", "failover"}

// table writes rows of cells separated by tabs. The first row is the heading. Words are aligned
// left, numbers right.
func table(out io.Writer, rows ...string) error {
	cells := make([][]string, len(rows))
	widths := make([]int, strings.Count(rows[0], "\t")+1)
	for i, row := range rows {
		cells[i] = strings.Split(row, "\t")
		for j, cell := range cells[i] {
			widths[j] = max(widths[j], len(cell))
		}
	}
	for _, row := range cells {
		var line strings.Builder
		for j, cell := range row {
			fill := strings.Repeat(" ", widths[j]-len(cell))
			if slices.Contains(wordColumns, cells[0][j]) {
				cell += fill
			} else {
				cell = fill + cell
			}
			if j > 0 {
				line.WriteString("   ")
			}
			line.WriteString(cell)
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// writeVias writes requests, failures and latencies of each via.
func (r *Report) writeVias(out io.Writer) error {
	rows := []string{"via\trequests\tanswers/s\tfailed\tp50\tp90\tp99\tp99.9\tmax\tp99 outside failovers"}
	for _, name := range r.order {
		v := r.results[name]
		l := v.LatencyMS
		rows = append(rows, fmt.Sprintf("%s\t%d\t%.0f\t%d\t%s\t%s\t%s\t%s\t%s\t%s", name, v.Requests, v.Throughput, v.Failed,
			ShortMS(l.P50), ShortMS(l.P90), ShortMS(l.P99), ShortMS(l.P999), ShortMS(l.Max), v.outsideP99()))
	}
	if err := table(out, rows...); err != nil {
		return err
	}
	for _, name := range r.order {
		if v := r.results[name]; v.Failed > 0 {
			fmt.Fprintf(out, "%s failed:%s\n", name, " "+strings.Trim(problemList(v.FailedByProblem), " ()"))
		}
	}
	return nil
}

// outsideP99 formats the p99 outside the failovers.
func (v *Result) outsideP99() string {
	if v.OutsideMS == nil {
		return "-"
	}
	return ShortMS(v.OutsideMS.P99)
}

// writeFailovers writes what each failover cost each via.
func (r *Report) writeFailovers(out io.Writer) error {
	if len(r.Failovers) == 0 {
		return nil
	}
	rows := []string{"failover\tat\tno principal\tvia\tlongest stall\tresumed after\tfailed"}
	for i, f := range r.Failovers {
		if f.Refused != "" {
			rows = append(rows, fmt.Sprintf("%s\t%.1f s\trefused\t\t\t\t", f.Kind, f.AtS))
			continue
		}
		kind, at, gap := f.Kind, fmt.Sprintf("%.1f s", f.AtS), orNever(f.NoPrincipalMS)
		for _, name := range r.order {
			v := r.results[name].Failovers[i]
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d", kind, at, gap, name, ShortMS(v.LongestStallMS), orNever(v.ResumeMS), v.Failed))
			kind, at, gap = "", "", ""
		}
	}
	fmt.Fprintln(out)
	if err := table(out, rows...); err != nil {
		return err
	}
	for _, f := range r.Failovers {
		if f.Refused != "" {
			fmt.Fprintf(out, "the %s at %.1f s was refused: %s\n", kindWords(f.Kind), f.AtS, f.Refused)
		}
	}
	return nil
}

// orNever formats a time in milliseconds; nil is "never".
func orNever(v *float64) string {
	if v == nil {
		return "never"
	}
	return ShortMS(*v)
}

// writeIntegrity writes the counts of the ledger.
func (r *Report) writeIntegrity(out io.Writer) error {
	rows := []string{"via\twrites acknowledged\tlost\tlocks granted twice\tresurrected\tunknown outcomes\tread back"}
	for _, name := range r.order {
		i := r.results[name].Integrity
		back := fmt.Sprint(i.ReadBack)
		if i.UnreadSessions > 0 {
			back = fmt.Sprintf("%d of %d", i.ReadBack, i.ReadBack+i.UnreadSessions)
		}
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%s", name, i.AcknowledgedWrites, i.LostWrites, i.DoubleGrants, i.ResurrectedSessions, i.UnknownOutcomes, back))
	}
	fmt.Fprintln(out)
	return table(out, rows...)
}

// costs lists the resources that each process used.
func (r *Report) costs() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Processes)) {
		c := r.Processes[name]
		parts = append(parts, fmt.Sprintf("%s %.2f cores, %.0f MB", name, c.Cores, c.ResidentMB))
	}
	if len(parts) == 0 {
		return ""
	}
	return "processes: " + strings.Join(parts, "; ")
}

// ShortMS formats a time in milliseconds.
func ShortMS(v float64) string {
	switch {
	case v == 0:
		return "0 ms"
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.2f ms", v)
}
