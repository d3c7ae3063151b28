package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/config"
)

// passwordInLine matches a password in a command line.
var passwordInLine = regexp.MustCompile(`(?i)(password|pwd)\s*=\s*…|-P "|sqlcmd -v \S*[Pp]assword|--\S*connection-string "[^"]*(password|pwd)\s*=`)

// No help text, page or example shows a password in a command line, which any local user can read. The help of a flag
// with a connection string says where to put the password.
func TestHelp_NoPasswordInACommandLine(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		text := cmd.Long + "\n" + cmd.Example + "\n" + cmd.Flags().FlagUsages() + cmd.PersistentFlags().FlagUsages()
		if shown := passwordInLine.FindString(text); shown != "" {
			t.Errorf("%s --help shows %q", cmd.CommandPath(), shown)
		}
		for _, name := range []string{"connection-string", "witness-connection-string"} {
			if f := cmd.Flag(name); f != nil && !strings.Contains(f.Usage, "without the password") {
				t.Errorf("%s --help: --%s does not say where to put the password: %s", cmd.CommandPath(), name, f.Usage)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "docker-compose.yml")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if shown := passwordInLine.FindString(string(text)); shown != "" {
			t.Errorf("%s shows %q", page, shown)
		}
	}
}

// A connection string from a flag gets its password from the environment.
func TestWithPassword(t *testing.T) {
	const pair = "data source=a;failover partner=b;user id=web"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("p4ss;\"word\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		env  map[string]string
		want string
	}{
		"the variable":           {pair + ";", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "p4ss\n"}, "p4ss"},
		"the file":               {pair, map[string]string{"MIRRORSTATE_PAIR_PASSWORD_FILE": file}, `p4ss;"word`},
		"password in the string": {pair + ";password=own", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "p4ss"}, "own"},
		"invalid string":         {"x=y", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "p4ss"}, ""},
		"no password":            {pair, nil, ""},
	} {
		text, err := config.WithPassword(c.text, func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := config.ParsePair(text)
		if c.want == "" {
			if err == nil || text != c.text {
				t.Errorf("%s: %q, %v", name, text, err)
			}
			continue
		}
		if err != nil || p.Servers[1].Password.Reveal() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.WithPassword(pair, func(name string) (string, bool) { return file + "x", name == "MIRRORSTATE_PAIR_PASSWORD_FILE" }); err == nil {
		t.Error("a missing password file is accepted")
	}
}
