package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// offered is what a shell is told of a command line, whose last word is being typed: the values, and the directive.
func offered(t *testing.T, words ...string) (values []string, directive string) {
	t.Helper()
	code, stdout, stderr := said(t, append([]string{cobra.ShellCompNoDescRequestCmd}, words...)...)
	if code != exitDone {
		t.Fatalf("%q: exit %d, %s", words, code, stderr)
	}
	lines := strings.Fields(stdout)
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	const nothingElse, files, folders, endings, open = ":4", ":0", ":16", ":8", ":6"
	for _, c := range []struct {
		line, want, directive string
	}{
		{"serve --witness |", "on off", nothingElse},
		{"pair setup --witness |", "", nothingElse}, // there it is an address
		{"pair setup --topology |", "mirroring availability-group", nothingElse},
		{"pair failover --topology |", "mirroring availability-group", nothingElse},
		{"pair setup --safety |", "FULL OFF", nothingElse},
		{"pair accept |", "a b", nothingElse},
		{"pair accept a |", "", nothingElse},
		{"install --onto |", "nothing stock extended", nothingElse},
		{"webconfig --mode |", "sqlserver stateserver", nothingElse},
		{"loadtest --mix |", "web read-mostly cart", nothingElse},
		{"loadtest --failover |", "manual@ force@ crash@ freeze@ isolate@ partition@ sever@", open},
		{"loadtest --failover manual@5s,|", "manual@5s,manual@ manual@5s,force@ manual@5s,crash@ manual@5s,freeze@ manual@5s,isolate@ manual@5s,partition@ manual@5s,sever@", open},
		{"loadtest --via http,dr|", "http,driver http,direct http,statement", open},
		{"key new shop --right read,|", "read,write read,lock read,remove read,list read,observe read,operator", open},
		{"serve --config |", "yaml yml", endings},
		{"pair status --key-file |", "", files},
		{"serve --data |", "", folders},
		{"serve --api |", "", nothingElse},
		{"session get |", "", nothingElse},
		{"completion |", "bash fish powershell zsh", nothingElse},
		{"key |", "list new revoke", nothingElse},
	} {
		words := strings.Split(strings.TrimSuffix(c.line, "|"), " ")
		values, directive := offered(t, words...)
		if got := strings.Join(values, " "); got != c.want || directive != c.directive {
			t.Errorf("%s: got %q %s, want %q %s", c.line, got, directive, c.want, c.directive)
		}
	}
}

// Every value that is offered stands in the help of its flag, and every entry is some flag's.
func TestCompletion_AsTheHelp(t *testing.T) {
	met := map[string]bool{}
	eachCommand(newRoot(), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			c, ok := choices[f.Name]
			if placeholder, _ := pflag.UnquoteUsage(f); !ok || len(alternatives(placeholder)) > 0 {
				return
			}
			met[f.Name] = true
			for _, v := range c.values {
				if !strings.Contains(f.Usage, v) {
					t.Errorf("%s --%s: %s is offered, and not in the help: %s", cmd.CommandPath(), f.Name, v, f.Usage)
				}
			}
		})
	})
	for name := range choices {
		if !met[name] {
			t.Errorf("no command has --%s", name)
		}
	}
}

// What is offered is all that is understood: whoever gives anything else is told the same values.
func TestCompletion_IsUnderstood(t *testing.T) {
	for name, args := range map[string][]string{
		"failover": {"loadtest"}, "via": {"loadtest"}, "tolerate": {"loadtest"}, "mix": {"loadtest"},
		"right":    {"key", "new", "shop", "--app", "shop", "--keys-file", filepath.Join(t.TempDir(), "keys")},
		"topology": {"pair", "setup", "--dry-run"},
	} {
		_, _, stderr := said(t, append(args, "--"+name, "nonsense")...)
		plain := strings.NewReplacer(" or ", ", ", " nor ", ", ").Replace(stderr)
		if all := strings.Join(choices[name].values, ", "); !strings.Contains(plain, all) {
			t.Errorf("--%s nonsense: %q, want %q in it", name, stderr, all)
		}
	}
}

func TestCompletion_Scripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, script, stderr := said(t, "completion", shell)
		if code != exitDone || !strings.Contains(script, "mirrorstate") {
			t.Errorf("%s: exit %d, %s", shell, code, stderr)
		}
		if parser, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), parser, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%s -n: %v\n%s", shell, err, out)
			}
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}} {
		if code, _, stderr := said(t, args...); code != exitMisuse || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

// eachCommand calls f for a command and all below it.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, f)
	}
}
