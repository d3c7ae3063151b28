package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// step is a command of a page, with the output that the page shows.
type step struct {
	command string
	printed []string
}

// pageSteps returns the commands in a page's console blocks, in order.
func pageSteps(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && isCommand:
			steps = append(steps, step{command: command})
		case inside:
			last := &steps[len(steps)-1]
			last.printed = append(last.printed, line)
		}
	}
	return steps
}

// volatile matches what differs in every run: ids, tags and times.
var volatile = []struct {
	found *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`[a-z0-5]{24}`), "ID"},
	{regexp.MustCompile(`ETag: "[^"]*"`), "ETag"},
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT`), "TIME"},
	{regexp.MustCompile(`(lock_age":|Lock-Age: )[01]`), "AGE"},
}

func withoutVolatile(text string) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r", ""))
	for _, v := range volatile {
		text = v.found.ReplaceAllString(text, v.shown)
	}
	return text
}

// TestReadme runs every command in the console blocks of the README and of docs/api.md, each page against a new server
// and in one shell. It compares the output with the page.
func TestReadme(t *testing.T) {
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; the README's commands need it", tool)
		}
	}
	for _, page := range []struct {
		name string
		path string
		min  int // smallest number of commands
	}{
		{"README", "README.md", 7},
		{"every call of the API", filepath.Join("docs", "api.md"), 15},
	} {
		t.Run(page.name, func(t *testing.T) {
			steps := pageSteps(t, page.path)
			if len(steps) < page.min {
				t.Fatalf("found %d commands in %s, want %d", len(steps), page.path, page.min)
			}
			typeSteps(t, page.path, steps)
		})
	}
}

// typeSteps runs the commands against a new server and compares their output with the page.
func typeSteps(t *testing.T, page string, steps []step) {
	t.Helper()
	p := startServe(t, t.TempDir())
	var script strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&script, "printf '\\001%d\\n'\n%s\n", i, s.command)
	}
	at := strings.NewReplacer("http://127.0.0.1:8080", p.api, "http://127.0.0.1:8081", p.admin)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-u")
	shell.Stdin = strings.NewReader(at.Replace(script.String()))
	var out, errs bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &errs
	if err := shell.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	printed := strings.Split(out.String(), "\x01")[1:]
	for i, s := range steps {
		_, got, _ := strings.Cut(printed[i], "\n")
		if got, want := withoutVolatile(got), withoutVolatile(strings.Join(s.printed, "\n")); got != want {
			t.Errorf("$ %s\nprints\n%s\n%s shows\n%s", s.command, got, page, want)
		}
	}
	p.stop(t)
}
