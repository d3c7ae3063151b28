package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// chart draws one plot over the time of a run, as an SVG element. The page's style sheet gives its
// colours.
type chart struct {
	b         strings.Builder
	length    time.Duration
	width     float64
	height    float64
	top       float64 // of the plot; the labels stand above it
	low, high float64 // ends of the vertical axis
	log       bool
	unit      func(float64) string
	labelEnds []float64 // where the last label of each row ends
	began     time.Time // when measuring started; zero: the axis counts from 0 s
}

// The margins of a plot, in units of the chart.
const (
	chartWidth  = 1000.0
	chartLeft   = 58.0
	chartRight  = 12.0
	chartBottom = 22.0
	labelRow    = 15.0
	labelWidth  = 7.2 // largest width of a letter
)

// newChart begins a chart. plot is the height of its plot, and what its label for screen readers.
func newChart(length time.Duration, plot float64, labelRows int, what string) *chart {
	top := 8 + float64(labelRows)*labelRow
	c := &chart{length: length, width: chartWidth, top: top, height: top + plot + chartBottom, labelEnds: make([]float64, labelRows)}
	c.put(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, c.width, c.height, template.HTMLEscapeString(what))
	return c
}

func (c *chart) put(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

// end returns the element.
func (c *chart) end() template.HTML {
	c.put("</svg>")
	return template.HTML(c.b.String()) // it consists of numbers and of escaped text
}

func (c *chart) x(at time.Duration) float64 {
	return chartLeft + (c.width-chartLeft-chartRight)*min(1, max(0, float64(at)/float64(c.length)))
}

func (c *chart) y(v float64) float64 {
	share := (v - c.low) / (c.high - c.low)
	if c.log {
		share = math.Log(max(v, c.low)/c.low) / math.Log(c.high/c.low)
	}
	return c.bottom() - (c.bottom()-c.top)*min(1, max(0, share))
}

func (c *chart) bottom() float64 { return c.height - chartBottom }

// linear sets a vertical axis from 0 to a round number.
func (c *chart) linear(most float64, unit func(float64) string) {
	c.high, c.unit = roundUp(max(most, 1)), unit
	for _, share := range []float64{0, 0.5, 1} {
		c.gridline(c.high * share)
	}
}

// logarithmic sets a vertical axis between powers of ten.
func (c *chart) logarithmic(least, most float64, unit func(float64) string) {
	c.log, c.unit = true, unit
	c.low = math.Pow(10, math.Floor(math.Log10(max(least, 0.01))))
	c.high = max(math.Pow(10, math.Ceil(math.Log10(max(most, 0.01)))), c.low*10)
	for v := c.low; v <= c.high*1.01; v *= 10 {
		c.gridline(v)
	}
}

func (c *chart) gridline(v float64) {
	y := c.y(v)
	c.put(`<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, chartLeft, y, c.width-chartRight, y)
	c.put(`<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, chartLeft-7, y+4, c.unit(v))
}

// timeAxis labels the time axis with the time of day (UTC). A label's tooltip is the time since
// measuring started.
func (c *chart) timeAxis() {
	every := time.Second
	for _, step := range []time.Duration{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200} {
		if every = step * time.Second; c.length/every <= 15 {
			break
		}
	}
	for at := time.Duration(0); at <= c.length; at += every {
		label, anchor := timeLabel(at), "middle"
		if !c.began.IsZero() {
			label = c.began.Add(at).Format("15:04:05")
		}
		if c.x(at) > c.width-labelWidth*float64(len(label))/2 {
			anchor = "end"
		}
		c.put(`<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s<title>%s</title></text>`, c.x(at), c.bottom()+16, anchor, label, timeLabel(at))
	}
}

func timeLabel(at time.Duration) string {
	if at < 2*time.Minute {
		return fmt.Sprintf("%.0f s", at.Seconds())
	}
	return strings.TrimSuffix(at.String(), "0s")
}

// mark shades the time without a principal and draws a line where it starts.
func (c *chart) mark(f measure.Failover, labelled bool) {
	if f.Refused != "" {
		return
	}
	at := time.Duration(f.AtS * float64(time.Second))
	x := c.x(at)
	if f.NoPrincipalMS != nil {
		until := c.x(at + time.Duration(*f.NoPrincipalMS*float64(time.Millisecond)))
		c.put(`<rect class="outage" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, x, c.top, max(1, until-x), c.bottom()-c.top)
	}
	c.put(`<line class="failover" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, c.top, x, c.bottom())
	if labelled {
		c.label(x, f.Kind)
	}
}

// label writes a word above the plot, in the first row with room for it. Without room the word is
// left out; the table has it.
func (c *chart) label(x float64, word string) {
	for row, end := range c.labelEnds {
		if x < end {
			continue
		}
		width := float64(len(word)) * labelWidth
		from := min(x, c.width-chartRight-width)
		c.labelEnds[row] = from + width + 6
		c.put(`<text class="label" x="%.1f" y="%.1f">%s</text>`, from, c.top-5-float64(row)*labelRow, template.HTMLEscapeString(word))
		return
	}
}

// point is one point of a line.
type point struct {
	at time.Duration
	v  float64
}

// line draws a line through points.
func (c *chart) line(class string, points []point) {
	if len(points) > 0 {
		c.put(`<polyline class="%s" points="%s"/>`, class, c.points(points))
	}
}

// band fills the area between two lines with the same times.
func (c *chart) band(class string, lower, upper []point) {
	if len(lower) == 0 {
		return
	}
	back := make([]point, len(lower))
	for i, p := range lower {
		back[len(lower)-1-i] = p
	}
	c.put(`<polygon class="%s" points="%s%s"/>`, class, c.points(upper), c.points(back))
}

func (c *chart) points(list []point) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%.1f,%.1f ", c.x(p.at), c.y(p.v))
	}
	return b.String()
}

// bar draws a bar from the value low to the value high.
func (c *chart) bar(class string, from, to time.Duration, low, high float64) {
	if high <= low {
		return
	}
	x, y := c.x(from), c.y(high)
	c.put(`<rect class="%s" x="%.2f" y="%.1f" width="%.2f" height="%.1f"/>`, class, x, y, max(0.6, c.x(to)-x), max(1, c.y(low)-y))
}

// footMarkHeight is the height of a mark at the bottom of a plot.
const footMarkHeight = 10

// footMark marks a time at the bottom of the plot. Its height does not depend on the scale.
func (c *chart) footMark(class string, from, to time.Duration) {
	c.put(`<rect class="%s" x="%.2f" y="%.1f" width="%.2f" height="%d"/>`, class, c.x(from), c.bottom()-footMarkHeight, max(2, c.x(to)-c.x(from)), footMarkHeight)
}

// tooltip shows a text while the pointer is over a time.
func (c *chart) tooltip(from, to time.Duration, words string) {
	x := c.x(from)
	c.put(`<rect class="hint" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		x, c.top, max(1, c.x(to)-x), c.bottom()-c.top, template.HTMLEscapeString(words))
}

// roundUp returns the next of 1, 2, 2.5, 5 and 10 times a power of ten.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 2.5, 5, 10} {
		if v <= step*power*1.0001 {
			return step * power
		}
	}
	return 10 * power
}
