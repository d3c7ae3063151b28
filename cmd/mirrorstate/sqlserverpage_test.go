package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// TestSQLServerPage runs the commands of docs/sql-server.md on two empty servers. Each must print the lines that the
// page shows, in that order; a line may continue where the page has ….
func TestSQLServerPage(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: bash is not installed: docs/sql-server.md is not checked")
	}
	text, err := os.ReadFile("../../docs/sql-server.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "## Rehearse it")
	_, rest, started := strings.Cut(rest, "```console\n")
	block, _, ended := strings.Cut(rest, "```")
	if !found || !started || !ended {
		t.Fatal("the page has no commands")
	}
	folder := t.TempDir()
	servers := embeddedtest.StartWith(t, embedded.Options{Dir: filepath.Join(folder, "rehearsal"), Empty: true})
	var pieces []string
	for i, port := range []string{"14331", "14332"} {
		addr := servers.Partner([]string{"a", "b"}[i]).Addr()
		pieces = append(pieces, "127.0.0.1:"+port, addr, "127.0.0.1,"+port, strings.Replace(addr, ":", ",", 1))
	}
	block = strings.NewReplacer(pieces...).Replace(block)

	var steps []step
	script := "mirrorstate() { " + asProgram + "=1 '" + os.Args[0] + "' \"$@\"; }\n"
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		if command, isCommand := strings.CutPrefix(line, "$ "); isCommand {
			steps = append(steps, step{command: command})
			script += fmt.Sprintf("printf '\\001'\n%s\n", command)
			continue
		}
		last := &steps[len(steps)-1]
		last.printed = append(last.printed, line)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-u", "-c", script)
	shell.Dir = folder
	var errs bytes.Buffer
	shell.Stderr = &errs
	out, _ := shell.Output() // doctor exits with 1 if there is something to fix
	printed := strings.Split(string(out), "\x01")[1:]
	if len(steps) < 8 || len(printed) != len(steps) {
		t.Fatalf("%d commands, %d of them ran:\n%s", len(steps), len(printed), out)
	}
	for i, s := range steps {
		rest := printed[i]
		for _, want := range s.printed {
			want, goesOn := strings.CutSuffix(want, "…")
			if !goesOn {
				want += "\n"
			}
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("$ %s\nwant the line %q, got\n%s; standard error of all commands:\n%s", s.command, want, printed[i], &errs)
				break
			}
			rest = after
		}
	}
}
