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

// progress shows the progress of a run: on a terminal one line that is overwritten, otherwise a
// line every few seconds. Its methods may be called concurrently.
type progress struct {
	out      io.Writer
	terminal bool
	clock    measure.Clock

	mu    sync.Mutex
	live  bool // the terminal shows a line that the next line overwrites
	ticks int
}

// plainEvery is how many seconds lie between two lines without a terminal.
const plainEvery = 5

// liveWidth is the maximum length of a line that is overwritten. A line that wraps can't be overwritten.
const liveWidth = 100

// clearLine moves the cursor to the start of the line and clears it.
const clearLine = "\r\x1b[K"

// print writes a message. Errors are ignored: the progress is not needed.
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

// update shows the numbers of the last second.
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
			principal = "none"
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

// end clears the line on the terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.out, clearLine)
		p.live = false
	}
}

// tickEvery is the time between two updates.
const tickEvery = time.Second
