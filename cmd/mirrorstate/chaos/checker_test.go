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

// searchLimit bounds porcupine's search in one session's history. A history that takes longer counts as "Unknown",
// which is reported but is not a failure.
const searchLimit = 20 * time.Second

// maxIllegal is the largest number of illegal histories that are written out in full.
const maxIllegal = 5

// judge checks one history. It returns porcupine's result and the findings of the rules.
func judge(history []record) (porcupine.CheckResult, []finding) {
	history = withoutForgotten(history)
	return search(history, searchLimit), findings(history)
}

// search returns porcupine's result.
func search(history []record, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(sessionModel(), operations(doneTwice(history)), limit)
}

// checker checks the histories of finished sessions, one after the other, while the run continues.
type checker struct {
	t       *testing.T
	tally   *tally
	dir     string // the folder for illegal histories
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

// stop waits until all histories are checked.
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

// tail returns the first call that porcupine could not place, and the last calls before it, one on each line.
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

// until returns the history as it was known when its first n calls had ended. The outcome of a call that had begun by
// then, but not ended, is unknown. If the whole history is legal, so is each of these.
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

// write writes the history and porcupine's visualization of it to files, and returns their names.
func (c *checker) write(sub *subject) string {
	base := filepath.Join(c.dir, string(sub.ref.ID))
	text, err := json.MarshalIndent(sub.history, "", " ")
	if err == nil {
		err = os.WriteFile(base+".json", text, 0o600)
	}
	if err != nil {
		return fmt.Sprintf("history not written: %v", err)
	}
	_, info := porcupine.CheckOperationsVerbose(sessionModel(), operations(doneTwice(withoutForgotten(sub.history))), searchLimit)
	if err := porcupine.VisualizePath(sessionModel(), info, base+".html"); err != nil {
		return fmt.Sprintf("visualization not written: %v", err)
	}
	return fmt.Sprintf("history and visualization: %s.json and .html (kept with go test -artifacts)", base)
}
