package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

//go:embed report.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// WriteHTML writes the report as one HTML page. The page loads no other files.
func (r *Report) WriteHTML(out io.Writer) error {
	p := page{Report: r, Headline: r.headline(), Verdict: r.verdict(), Tiles: r.tiles()}
	for _, name := range r.order {
		p.Panels = append(p.Panels, r.panel(name))
		p.Vias = append(p.Vias, viaRow{name, r.results[name]})
	}
	for i, f := range r.Failovers {
		p.Failovers = append(p.Failovers, r.failoverRow(i, f))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Processes)) {
		p.Costs = append(p.Costs, costRow{name, r.Processes[name]})
	}
	return pageTemplate.Execute(out, p)
}

// page is the data of the template.
type page struct {
	*Report
	Headline, Verdict string
	Tiles             []tile
	Panels            []panel
	Vias              []viaRow
	Failovers         []failoverRow
	Costs             []costRow
}

// Several reports whether the report compares vias.
func (p page) Several() bool { return len(p.Vias) > 1 }

// When returns when measuring started.
func (p page) When() string { return p.Began.Format("2006-01-02 15:04:05 MST") }

// tile is one number at the top of the page.
type tile struct {
	Name, Value string
	Bad         bool
}

// tiles returns the numbers at the top of the page.
func (r *Report) tiles() []tile {
	i := r.Integrity
	list := []tile{
		{"requests", grouped(r.Requests), false},
		{"failed", grouped(r.Failed), r.Failed > 0},
		{"writes lost", grouped(i.LostWrites), i.LostWrites > 0},
		{"locks granted twice", grouped(i.DoubleGrants), i.DoubleGrants > 0},
		{"median latency", ShortMS(r.LatencyMS.P50), false},
		{"p99 latency", ShortMS(r.LatencyMS.P99), false},
	}
	if r.OutsideMS != nil {
		list = append(list, tile{"p99 outside failovers", ShortMS(r.OutsideMS.P99), false})
	}
	if r.ResumeMS != nil {
		list = append(list, tile{"longest resume", ShortMS(r.ResumeMS.Max), false})
	}
	return list
}

// panel holds the charts of one via.
type panel struct {
	Name                         string
	Number                       int // number of its colour
	Latency, Throughput, Waiting template.HTML
	Held                         bool
}

// viaRow, failoverRow and costRow are rows of tables.
type viaRow struct {
	Name string
	*Result
}

type failoverRow struct {
	Kind, At, Partner, Gap, Refused string
	Costs                           []failoverCost
}

type failoverCost struct {
	Via, Stall, Resume string
	Failed             string
	Bad                bool
}

type costRow struct {
	Name string
	measure.Cost
}

// MS formats a time in milliseconds.
func (viaRow) MS(v float64) string { return ShortMS(v) }

// Outside returns the p99 outside the failovers.
func (v viaRow) Outside() string { return v.outsideP99() }

// N formats a number.
func (viaRow) N(n int64) string { return grouped(n) }

// Problems lists the most frequent problems.
func (v viaRow) Problems() string {
	return strings.Trim(problemList(v.FailedByProblem), " ()")
}

func (r *Report) failoverRow(i int, f measure.Failover) failoverRow {
	row := failoverRow{Kind: f.Kind, At: fmt.Sprintf("%.1f s", f.AtS), Partner: f.Partner, Refused: f.Refused, Gap: orNever(f.NoPrincipalMS)}
	for _, name := range r.order {
		c := r.results[name].Failovers[i]
		row.Costs = append(row.Costs, failoverCost{name, ShortMS(c.LongestStallMS), orNever(c.ResumeMS), grouped(c.Failed), c.Failed > 0})
	}
	return row
}

// grouped formats a number with commas between the thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// chartSteps is the largest number of steps in a chart. In longer runs several steps are drawn as
// one.
const chartSteps = 900

// panel draws the charts of one via. The axes are the same for all vias, so that they can be
// compared.
func (r *Report) panel(name string) panel {
	res := r.results[name]
	line := gather(res.timeline, 1+len(res.timeline)/chartSteps)
	p := panel{Name: name, Number: slices.Index(measure.Vias, name)}
	p.Latency = r.latencyChart(line, res.Failovers)
	p.Throughput = r.throughputChart(line, res.Failovers)
	var held []int
	if p.Held = name == measure.ViaHTTP && len(r.Held) > 0; p.Held {
		held = r.Held
	}
	p.Waiting = r.waitingChart(line, held, res.Failovers)
	return p
}

// gather merges each n steps of a timeline into one. Counts are added; of latencies and of waiting
// requests it takes the largest.
func gather(line []measure.Interval, n int) (out []measure.Interval) {
	for group := range slices.Chunk(line, n) {
		sum := measure.Interval{At: group[0].At}
		for _, i := range group {
			sum.Due += i.Due
			sum.Answered += i.Answered
			sum.Failed += i.Failed
			sum.N += i.N
			sum.Waiting = max(sum.Waiting, i.Waiting)
			sum.P50, sum.P90, sum.P99, sum.Max = max(sum.P50, i.P50), max(sum.P90, i.P90), max(sum.P99, i.P99), max(sum.Max, i.Max)
		}
		out = append(out, sum)
	}
	return out
}

// length returns the length of the longest timeline.
func (r *Report) length() time.Duration {
	length := r.step
	for _, res := range r.results {
		length = max(length, time.Duration(len(res.timeline))*r.step)
	}
	return length
}

// extremes returns the smallest and the largest value in the timelines of all vias. of reports
// false for a step without a value.
func (r *Report) extremes(of func(measure.Interval) (float64, bool)) (least, most float64) {
	first := true
	for _, res := range r.results {
		for _, i := range res.timeline {
			v, ok := of(i)
			if !ok {
				continue
			}
			if first {
				least, most, first = v, v, false
			}
			least, most = min(least, v), max(most, v)
		}
	}
	return least, most
}

// The heights of the plots.
const (
	latencyHeight    = 230
	throughputHeight = 80
)

// latencyChart draws the latencies by the time when the requests were due: a band from the median
// to the 99th percentile, and a line for the maximum.
func (r *Report) latencyChart(line []measure.Interval, failovers []measure.Failover) template.HTML {
	c := newChart(r.length(), latencyHeight, 2, "latency over time")
	c.began = r.Began
	least, _ := r.extremes(func(i measure.Interval) (float64, bool) { return i.P50, i.N > 0 })
	_, most := r.extremes(func(i measure.Interval) (float64, bool) { return i.Max, i.N > 0 })
	c.logarithmic(least, most, axisMS)
	for _, f := range failovers {
		c.mark(f, true)
	}
	for _, run := range unbroken(line) {
		var p50, p99, worst []point
		for _, i := range run {
			p50, p99, worst = append(p50, point{i.At, i.P50}), append(p99, point{i.At, i.P99}), append(worst, point{i.At, i.Max})
		}
		c.band("band", p50, p99)
		c.line("worst", worst)
		c.line("median", p50)
	}
	width := stepOf(line, r.step)
	for _, i := range line {
		if i.Failed > 0 {
			c.footMark("failed", i.At, i.At+width)
		}
	}
	c.timeAxis()
	r.tooltips(c, line)
	return c.end()
}

// unbroken splits a timeline at the steps whose requests were not answered.
func unbroken(line []measure.Interval) (runs [][]measure.Interval) {
	var run []measure.Interval
	for _, i := range line {
		if i.N > 0 {
			run = append(run, i)
			continue
		}
		if len(run) > 0 {
			runs = append(runs, run)
		}
		run = nil
	}
	if len(run) > 0 {
		runs = append(runs, run)
	}
	return runs
}

// throughputChart draws the answers and the failures per second.
func (r *Report) throughputChart(line []measure.Interval, failovers []measure.Failover) template.HTML {
	c := newChart(r.length(), throughputHeight, 0, "answers and failures per second")
	c.began = r.Began
	perSecond := 1 / r.step.Seconds()
	_, most := r.extremes(func(i measure.Interval) (float64, bool) { return float64(i.Answered+i.Failed) * perSecond, true })
	c.linear(most, axisNumber)
	for _, f := range failovers {
		c.mark(f, false)
	}
	width := stepOf(line, r.step)
	perSecond = 1 / width.Seconds()
	for _, i := range line {
		answered, failed := float64(i.Answered)*perSecond, float64(i.Failed)*perSecond
		c.bar("answered", i.At, i.At+width, 0, answered)
		c.bar("failed", i.At, i.At+width, answered, answered+failed)
	}
	c.timeAxis()
	r.tooltips(c, line)
	return c.end()
}

// waitingChart draws the requests that were due and had not ended, and those that the server held.
func (r *Report) waitingChart(line []measure.Interval, held []int, failovers []measure.Failover) template.HTML {
	c := newChart(r.length(), throughputHeight, 0, "waiting requests")
	c.began = r.Began
	_, most := r.extremes(func(i measure.Interval) (float64, bool) { return float64(i.Waiting), true })
	c.linear(most, axisNumber)
	for _, f := range failovers {
		c.mark(f, false)
	}
	var waiting, zero, holding []point
	for _, i := range line {
		waiting, zero = append(waiting, point{i.At, float64(i.Waiting)}), append(zero, point{i.At, 0})
	}
	for step, n := range held {
		holding = append(holding, point{time.Duration(step) * r.step, float64(n)})
	}
	c.band("band", zero, waiting)
	c.line("median", waiting)
	c.line("held", holding)
	c.timeAxis()
	r.tooltips(c, line)
	return c.end()
}

// stepOf returns the length of a step of a timeline, which gather may have changed.
func stepOf(line []measure.Interval, step time.Duration) time.Duration {
	if len(line) > 1 {
		return line[1].At - line[0].At
	}
	return step
}

// tooltips adds the numbers of each second, or of each step if steps are longer. Latencies are those of the second's slowest
// steps: a second has no quantiles of its own.
func (r *Report) tooltips(c *chart, line []measure.Interval) {
	width := stepOf(line, r.step)
	n := max(1, int(time.Second/width))
	if len(line)/n > chartSteps/2 {
		return
	}
	for _, i := range gather(line, n) {
		c.tooltip(i.At, i.At+time.Duration(n)*width, fmt.Sprintf("%s: %d answered, %d failed; slowest step: median %s, p99 %s, max %s; %d waiting",
			timeLabel(i.At), i.Answered, i.Failed, ShortMS(i.P50), ShortMS(i.P99), ShortMS(i.Max), i.Waiting))
	}
}

// axisMS formats a label of an axis in milliseconds.
func axisMS(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%g s", v/1000)
	}
	return fmt.Sprintf("%.3g ms", v)
}

// axisNumber formats a label of an axis without a unit.
func axisNumber(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%.4gk", v/1000)
	}
	return fmt.Sprintf("%.4g", v)
}
