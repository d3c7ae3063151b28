package loadtest

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
)

// progress tells how it goes: one line that is written over on a terminal, and else a plain
// line now and then. Any number of goroutines may use it.
type progress struct {
	out      io.Writer
	terminal bool
	clock    measure.Clock

	mu    sync.Mutex
	live  bool // the terminal shows a line that is to be written over
	ticks int
}

// plainEvery is every how manieth second a plain line is written.
const plainEvery = 5

// liveWidth is how long a line may be that is written over: one that breaks could not be.
const liveWidth = 100

// clearLine goes to the begin of the terminal's line and clears it.
const clearLine = "\r\x1b[K"

// print writes a line that stays. Nobody has to read it: errors are not looked at.
func (p *progress) print(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.out, clearLine)
		p.live = false
	}
	fmt.Fprintf(p.out, "%s  %s\n", p.stamp(), fmt.Sprintf(format, args...))
}

func (p *progress) stamp() string {
	switch now := p.clock.Now(); {
	case p.clock.Zero.IsZero():
		return "set-up "
	case now < 0:
		return "warm-up"
	default:
		return fmt.Sprintf("%5.1f s", now.Seconds())
	}
}

// update writes how it goes, once a second.
func (p *progress) update(vias []*viaLoad, w *measure.Watcher) {
	parts := make([]string, 0, len(vias)+1)
	for _, v := range vias {
		g := v.recorder.Recent()
		median := "p50 " + report.ShortMS(g.P50) + ", "
		if len(vias) > 1 {
			median = ""
		}
		parts = append(parts, fmt.Sprintf("%s %d/s, %sp99 %s, %d failed", v.name, g.Requests, median, report.ShortMS(g.P99), g.Failed))
	}
	if w != nil {
		principal, holding := w.Now()
		if principal == "" {
			principal = "nobody"
		}
		parts = append(parts, fmt.Sprintf("principal %s, %d held", principal, holding))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ticks++
	line := p.stamp() + "  " + strings.Join(parts, " · ")
	switch {
	case p.terminal:
		if r := []rune(line); len(r) > liveWidth {
			line = string(r[:liveWidth-1]) + "…"
		}
		fmt.Fprint(p.out, clearLine+line)
		p.live = true
	case p.ticks%plainEvery == 0:
		fmt.Fprintln(p.out, line)
	}
}

// end leaves the terminal with an empty line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.out, clearLine)
		p.live = false
	}
}

// tickEvery is how often it is told how it goes.
const tickEvery = time.Second
