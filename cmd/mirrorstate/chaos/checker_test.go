package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// searchLimit bounds porcupine's search in one session's history. A history that
// takes longer counts as "Unknown", which fails nothing and is reported.
const searchLimit = 20 * time.Second

// maxIllegal is how many broken histories are written out in full.
const maxIllegal = 5

// judge is the verdict on one history: porcupine's, and what the rules find.
func judge(history []record) (porcupine.CheckResult, []finding) {
	history = withoutForgotten(history)
	return search(history, searchLimit), findings(history)
}

// search is porcupine's verdict.
func search(history []record, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(sessionModel(), operations(doneTwice(history)), limit)
}

// checker judges the histories of sessions that are over, one after the other,
// while the run goes on.
type checker struct {
	t       *testing.T
	tally   *tally
	dir     string // where broken histories go
	queue   chan *subject
	running sync.WaitGroup
	broken  int // owned by the goroutine
}

func startChecker(t *testing.T, tl *tally) *checker {
	c := &checker{t: t, tally: tl, dir: t.ArtifactDir(), queue: make(chan *subject, 64)}
	c.running.Go(func() {
		for sub := range c.queue {
			c.check(sub)
		}
	})
	return c
}

// stop waits for every verdict.
func (c *checker) stop() {
	close(c.queue)
	c.running.Wait()
}

func (c *checker) check(sub *subject) {
	verdict, found := judge(sub.history)
	c.tally.checked(verdict, found)
	if verdict != porcupine.Illegal && len(found) == 0 {
		return
	}
	if c.broken++; c.broken > maxIllegal {
		return
	}
	c.t.Errorf("session %s: porcupine says %s; %s\n%s\n%s", sub.ref.ID, verdict, describeFindings(found), c.write(sub), tail(sub.history))
}

func describeFindings(found []finding) string {
	parts := []string{fmt.Sprintf("%d findings", len(found))}
	for _, f := range found[:min(3, len(found))] {
		parts = append(parts, f.Kind+": "+f.Text)
	}
	return strings.Join(parts, "\n  ")
}

// tail is what porcupine could not place and what led there: the last calls before
// the first that has no place, as lines.
func tail(history []record) string {
	low, high := 0, len(history)
	for low < high {
		mid := (low + high) / 2
		if search(until(history, mid), searchLimit/10) == porcupine.Illegal {
			high = mid
		} else {
			low = mid + 1
		}
	}
	lines := []string{"the calls that lead to it, by the time they ended:"}
	for _, r := range history[max(0, low-25):min(len(history), low+5)] {
		lines = append(lines, "  "+r.String())
	}
	return strings.Join(lines, "\n")
}

// until is the history as it was known when its first n calls had ended: what had been
// called by then and not ended is unknown. What was legal then, if all is legal.
func until(history []record, n int) []record {
	out := slices.Clone(history[:n])
	now := int64(0)
	for _, r := range out {
		if r.Return != forever {
			now = max(now, r.Return)
		}
	}
	for _, r := range history[n:] {
		if r.Call <= now && r.Out.Result != notFound && r.Out.Result != locked {
			r.Out, r.Return = output{Result: unknown}, forever
			out = append(out, r)
		}
	}
	return out
}

// write leaves the history and porcupine's picture of it, and says where.
func (c *checker) write(sub *subject) string {
	base := filepath.Join(c.dir, string(sub.ref.ID))
	text, err := json.MarshalIndent(sub.history, "", " ")
	if err == nil {
		err = os.WriteFile(base+".json", text, 0o600)
	}
	if err != nil {
		return fmt.Sprintf("its history could not be written: %v", err)
	}
	_, info := porcupine.CheckOperationsVerbose(sessionModel(), operations(doneTwice(withoutForgotten(sub.history))), searchLimit)
	if err := porcupine.VisualizePath(sessionModel(), info, base+".html"); err != nil {
		return fmt.Sprintf("its picture could not be written: %v", err)
	}
	return fmt.Sprintf("history and picture: %s.json and .html (kept with go test -artifacts)", base)
}
