package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/install"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// dryRuns are the dry runs whose scripts are compared with testdata/install/NAME.sql.
var dryRuns = map[string]string{
	"fresh":       "install --dry-run",
	"extend":      "install --dry-run --onto stock",
	"extended":    "install --dry-run --onto extended",
	"stock-only":  "install --dry-run --stock-only",
	"grant":       `install --dry-run --onto extended --grant DOM\web]1`,
	"grant-stock": "install --dry-run --onto stock --stock-only --grant web",
	"recreate":    "install --dry-run --onto extended --recreate ASPState",
	"uninstall":   "uninstall --dry-run",
}

// call runs the program in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestInstall_DryRunScripts(t *testing.T) {
	for name, line := range dryRuns {
		code, got, stderr := call(t, strings.Fields(line)...)
		if code != exitDone || stderr != "" {
			t.Errorf("%s: exit %d, %s", line, code, stderr)
			continue
		}
		golden(t, name+".sql", got)
	}
}

// openServer opens a connection to one server, and closes it at the end of the test.
func openServer(t *testing.T, connectionString string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", connectionString)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// golden compares got with a file of testdata/install, or writes the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "install", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the output differs from %s; see the difference with go test ./cmd/mirrorstate -run DryRun -update and git diff", path)
	}
}

// The script of a dry run does the same as install: run by hand, it creates the same database.
func TestInstall_DryRunEqualsInstall(t *testing.T) {
	servers := embeddedtest.StartWith(t, embedded.Options{Dir: t.TempDir(), Empty: true})
	_, script, _ := call(t, "install", "--dry-run")
	db := openServer(t, servers.Partner("a").ConnectionString(""))
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, sent, _ := strings.Cut(script, "USE [master]") // the lines before are for sqlcmd
	for _, b := range schema.Split("install.sql", "USE [master]"+sent) {
		if _, err := conn.ExecContext(t.Context(), b.Text); err != nil {
			t.Fatalf("line %d: %v", b.Line, err)
		}
	}
	code, stdout, stderr := call(t, "install", "--connection-string", loadserver.PairConnection(servers))
	if code != exitDone || !strings.Contains(stdout, "is extended: nothing to do") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestInstall_Command(t *testing.T) {
	servers := embeddedtest.StartWith(t, embedded.Options{Dir: t.TempDir(), Empty: true})
	pair := loadserver.PairConnection(servers)
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"install --dry-run", exitDone, "Planned for the present state of the database on partner a", ""},
		{"uninstall", exitFailed, "", "there is no database ASPState"},
		{"install --stock-only", exitDone, "nothing before, stock now", "create the missing stock objects"},
		{"install --on b", exitFailed, "", "would be another database"},
		{"install --dry-run --json", exitDone, `"before": "stock"`, ""},
		{"install --grant nobody", exitFailed, "", "CREATE LOGIN [nobody]"},
		{"install", exitDone, "stock before, extended now", "columns"},
		{"install", exitDone, "is extended: nothing to do", ""},
		{"install --recreate Shop", exitMisuse, "", `pass that name to confirm it, not "Shop"`},
		{"install --on c", exitMisuse, "", "must be a or b"},
		{"install --onto something --dry-run", exitMisuse, "", "neither nothing, stock nor extended"},
		{"uninstall --dry-run", exitDone, "DROP TABLE dbo.MirrorStateEpoch", ""},
		{"uninstall --json", exitDone, `"after": "stock"`, "drop the extension"},
		{"uninstall", exitDone, "is stock: nothing to do", ""},
	} {
		code, stdout, stderr := call(t, append(strings.Fields(c.args), "--connection-string", pair)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%s: exit %d, want %d; stdout:\n%.400s\nstderr:\n%s", c.args, code, c.code, stdout, stderr)
		}
		if lines := strings.Count(stderr, "\n"); code != exitDone && (stdout != "" || lines != 1) {
			t.Errorf("%s: got %d lines on standard error, want 1; standard output %q, want none", c.args, lines, stdout)
		}
		if strings.Contains(stdout+stderr, servers.Password()) {
			t.Errorf("%s prints the password", c.args)
		}
	}
	nobody := "data source=127.0.0.1,1;failover partner=127.0.0.1,2;initial catalog=Shop;user id=x;password=y;encrypt=disable"
	if code, stdout, stderr := call(t, "install", "--dry-run", "--onto", "stock", "--connection-string", nobody); code != exitDone ||
		!strings.Contains(stdout, "connection refused") || !strings.Contains(stdout, "USE [Shop]") {
		t.Errorf("a dry run for servers that do not answer: exit %d\n%.600s%s", code, stdout, stderr)
	}
	if code, _, stderr := call(t, "install"); code != exitMisuse || !strings.Contains(stderr, "no pair is configured") {
		t.Errorf("without a pair: exit %d, %s", code, stderr)
	}
}

// On a mirrored pair install runs on the principal. If only the mirror answers, it refuses.
func TestInstall_Mirrored(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := loadserver.PairConnection(servers)
	if err := servers.Partner("a").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, "uninstall", "--json", "--connection-string", pair)
	var did install.Installed
	if err := json.Unmarshal([]byte(stdout), &did); code != exitDone || err != nil || did.Partner != "b" || !did.Mirrored {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if err := servers.Partner("b").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = call(t, "install", "--connection-string", pair)
	if code != exitDone || !strings.Contains(stdout, "ASPState on partner a") || !strings.Contains(stdout, "stock before, extended now") {
		t.Errorf("the mirror lacks the changes of its principal: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr = call(t, "install", "--on", "b", "--connection-string", pair); code != exitFailed || !strings.Contains(stderr, "b (") || !strings.Contains(stderr, "is the mirror") {
		t.Errorf("--on the mirror: exit %d, %s", code, stderr)
	}
	if err := servers.Partner("a").Inject(t.Context(), embedded.Stop); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = call(t, "install", "--connection-string", pair); code != exitFailed || !strings.Contains(stderr, "on a mirror nothing can be installed") {
		t.Errorf("only the mirror answers: exit %d, %s", code, stderr)
	}
}

// sqlfluff parses the scripts, except the statements that are listed below.
func TestInstall_ScriptsParse(t *testing.T) {
	sqlfluff, err := exec.LookPath("sqlfluff")
	if err != nil {
		t.Skip("sqlfluff is not installed: the scripts are not checked by it")
	}
	// Statements that SQL Server accepts and sqlfluff 1.4 can't parse. They were found by hand; see docs/install.md.
	unread := []string{"SET DEADLOCK_PRIORITY", ":on error exit", "    @@ver int OUTPUT", "ALTER TABLE dbo.ASPStateTempSessions"}
	var text strings.Builder
	seen := map[string]bool{}
	for name := range dryRuns {
		script, err := os.ReadFile(filepath.Join("testdata", "install", name+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range schema.Split(name, string(script)) {
			known := seen[b.Text]
			for _, words := range unread {
				known = known || strings.Contains(b.Text, words)
			}
			if !known {
				seen[b.Text] = true
				text.WriteString(b.Text + "\nGO\n")
			}
		}
	}
	file := filepath.Join(t.TempDir(), "all.sql")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, sqlfluff, "parse", "--dialect", "tsql", file).CombinedOutput()
	if err != nil {
		var wrong []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "PRS") || strings.Contains(line, "unparsable") {
				wrong = append(wrong, line)
			}
		}
		t.Errorf("%v:\n%s", err, strings.Join(wrong, ""))
	}
}

// A name that sqlcmd would take for a command or a variable is refused before a script is printed.
func TestScripts_RefusedNames(t *testing.T) {
	for _, bad := range []string{"web\nGO\n:!! touch x", "a$(b)", ":r x.sql", "!!dir", "GO"} {
		for _, args := range [][]string{
			{"install", "--dry-run", "--grant", bad}, {"pair", "setup", "--dry-run", "--login", bad}, {"pair", "setup", "--dry-run", "--group", bad},
			{"pair", "setup", "--dry-run", "--share", bad},
			{"install", "--dry-run", "--connection-string", "data source=SQL1;failover partner=SQL2;user id=sa;password=x;initial catalog=" + `"` + bad + `"`},
		} {
			code, stdout, stderr := call(t, args...)
			if code == exitDone || stdout != "" || !strings.Contains(stderr, "can't be used in a script") {
				t.Errorf("%q: code %d, %q, %q", args, code, stdout, stderr)
			}
		}
	}
}
