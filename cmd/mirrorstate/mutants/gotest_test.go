package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The time limits of one run: for tests, for tests that are expected to hang, and for building in addition.
const (
	timeLimit = 120 * time.Second
	hangLimit = 20 * time.Second
	buildTime = 5 * time.Minute
)

// overlay writes the mutant's file, and the list of replaced files for go test.
func overlay(t *testing.T, m mutant) (path string) {
	t.Helper()
	text, err := m.broken()
	if err != nil {
		t.Fatal(err)
	}
	return overlayOf(t, m.file, text)
}

// overlayOf replaces a file by text.
func overlayOf(t *testing.T, file string, text []byte) (path string) {
	t.Helper()
	original, err := filepath.Abs(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	replacement := filepath.Join(folder, filepath.Base(file))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folder, "overlay.json")
	if err := errors.Join(os.WriteFile(replacement, text, 0o600), os.WriteFile(path, list, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// runTests runs tests of a package until the first one fails.
func runTests(t *testing.T, pkg string, tests []string, limit time.Duration, flags ...string) *report {
	t.Helper()
	args := append([]string{"test", "-json", "-count=1", "-vet=off", "-failfast", "-timeout", limit.String(), "-run", pattern(tests)}, flags...)
	return runGo(t, root, limit+buildTime, append(args, "./"+pkg)...)
}

// runGo runs the go command, whose output is events. go test has a timeout of its own; a little
// later the go command is ended.
func runGo(t *testing.T, folder string, limit time.Duration, args ...string) *report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	cmd.WaitDelay = 10 * time.Second
	r := &report{passed: map[string]bool{}, open: map[string]int{}}
	cmd.Stdout, cmd.Stderr = r, r
	err := cmd.Run()
	if _, red := errors.AsType[*exec.ExitError](err); err != nil && !red || ctx.Err() != nil {
		t.Fatalf("go %s: %v, %v:\n%s", strings.Join(cmd.Args[1:], " "), err, ctx.Err(), r.tail())
	}
	return r
}

// pattern returns the argument of -run that matches exactly these tests.
func pattern(tests []string) string {
	var all []string
	for _, test := range tests {
		parts := strings.Split(test, "/")
		for i, part := range parts {
			parts[i] = "^" + regexp.QuoteMeta(part) + "$"
		}
		all = append(all, strings.Join(parts, "/"))
	}
	return strings.Join(all, "|")
}

// asReported returns a test's name in the form of go test.
func asReported(test string) string { return strings.ReplaceAll(test, " ", "_") }

// event is one line of go test -json.
type event struct {
	Action string
	Test   string // empty: the package
	Output string
}

// How much of the output is kept: lines, and bytes of each line.
const (
	tailLines = 30
	lineBytes = 500
)

// report is the result of one run of go test.
type report struct {
	result      string // of the package: pass, fail, skip, or empty
	firstRed    string
	passed      map[string]bool
	open        map[string]int // tests that have not ended, with the order in which they began
	begun       int
	failedBuild bool
	timedOut    bool
	crashed     bool
	lines       []string // the last lines of the output
	rest        []byte   // a line that is not complete yet
}

// note records one event.
func (r *report) note(e *event) {
	switch e.Action {
	case "run":
		r.begun++
		r.open[e.Test] = r.begun
	case "output", "build-output":
		r.read(e.Output)
	case "build-fail":
		r.failedBuild = true
	case "pass", "fail", "skip":
		r.end(e)
	}
}

// end records the end of a test or of the package.
func (r *report) end(e *event) {
	if e.Test == "" {
		r.result = e.Action
		return
	}
	if !r.timedOut && !r.crashed {
		delete(r.open, e.Test)
	}
	r.passed[e.Test] = e.Action == "pass"
	if e.Action == "fail" && r.firstRed == "" {
		r.firstRed = e.Test
	}
}

// read records a line of output.
func (r *report) read(line string) {
	r.timedOut = r.timedOut || strings.HasPrefix(line, "panic: test timed out after ")
	r.crashed = r.crashed || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
	line = strings.TrimSuffix(line, "\n")
	r.lines = append(r.lines, line[:min(len(line), lineBytes)])
	r.lines = r.lines[max(0, len(r.lines)-tailLines):]
}

// Write takes the output of go test: lines with events, and other lines.
func (r *report) Write(b []byte) (int, error) {
	r.rest = append(r.rest, b...)
	for {
		line, rest, whole := bytes.Cut(r.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		var e event
		if json.Unmarshal(line, &e) == nil {
			r.note(&e)
		} else {
			r.read(string(line))
		}
		r.rest = rest
	}
}

// running returns the test that began last among those that have not ended.
func (r *report) running() string {
	if len(r.open) == 0 {
		return r.firstRed
	}
	return slices.MaxFunc(slices.Collect(maps.Keys(r.open)), func(a, b string) int { return r.open[a] - r.open[b] })
}

// tail returns the end of the output.
func (r *report) tail() string { return strings.Join(r.lines, "\n") }
