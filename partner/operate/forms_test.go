package operate

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// word is a token of a statement: a name in brackets, a string, a binary constant, a variable, a word or number, a symbol.
var word = regexp.MustCompile(`\[(?:[^\]]|\]\])*\]|N?'(?:[^']|'')*'|\$\([A-Za-z0-9_]+\)|0x[0-9A-Fa-f]*|[\p{L}\p{N}_]+|::|\S`)

// fits reports whether a word of a statement may be where the form has want.
func fits(got, want string) bool {
	kind := func(s string) string {
		switch {
		case strings.HasPrefix(s, "["):
			return "name"
		case strings.HasPrefix(s, "N'"):
			return "N'string'"
		case strings.HasPrefix(s, "'"):
			return "'string'"
		case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "$("):
			return "binary"
		case s[0] >= '0' && s[0] <= '9':
			return "number"
		}
		return "word"
	}
	switch k, w := kind(got), kind(want); {
	case got == want:
		return true
	case k == "name" && w == "word": // the facts pages write some names without brackets
		return !keyword[want]
	case k == w:
		return k != "word"
	}
	return false
}

// keyword has the words of the forms that are not sample names.
var keyword = map[string]bool{}

func forms(t *testing.T) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "forms.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := word.FindAllString(line, -1)
		for _, w := range words {
			if w == strings.ToUpper(w) {
				keyword[w] = true
			}
		}
		all = append(all, words)
	}
	return all
}

func matches(statement string, forms [][]string) bool {
	words := word.FindAllString(statement, -1)
next:
	for _, form := range forms {
		if len(form) != len(words) {
			continue
		}
		for i := range form {
			if !fits(words[i], form[i]) {
				continue next
			}
		}
		return true
	}
	return false
}

// plans returns the plans of the golden files, and those that need the facts of servers.
func plans(t *testing.T) (all []*Plan) {
	t.Helper()
	for file, plan := range dryRuns() {
		p, err := plan()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, p)
	}
	for _, verb := range Verbs[1:] {
		seen := recordedGroup(t)
		for _, f := range seen {
			f.Group.Cluster = "WSFC"
		}
		if verb == Force {
			seen[0] = &Found{On: A, Error: "gone"}
		}
		p, err := NewPlan(verb, Options{Database: "ASPState", AllowDataLoss: true}, seen)
		if err != nil {
			t.Fatalf("%s of a group with a cluster: %v", verb, err)
		}
		all = append(all, p)
	}
	rights := []ServerRight{{"web", viewServerState, "GRANT"}, {"web", viewServerState, "DENY"}, {"web", viewServerState, "GRANT_WITH_GRANT_OPTION"}}
	p, err := NewPlan(Setup, Options{Database: "ASPState", Endpoint: [2]string{"sqla:5022", "sqlb:5022"}, Logins: []string{"web"}, Rights: rights}, recordedAlone())
	if err != nil {
		t.Fatal(err)
	}
	return append(all, p)
}

// TestStatements_Forms compares every statement of every plan with the forms in the manual.
func TestStatements_Forms(t *testing.T) {
	known := forms(t)
	seen := 0
	for _, p := range plans(t) {
		steps := p.Steps
		for _, s := range p.Steps {
			steps = append(steps, s.Undo...)
			if s.Repeat != nil {
				steps = append(steps, *s.Repeat)
			}
		}
		for _, s := range steps {
			if s.Kind != Do && s.Kind != Carry {
				continue
			}
			seen++
			if !matches(s.Text, known) {
				t.Errorf("%s, %s: no form for %s", p.Topology, p.Verb, s.Text)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d statements were compared", seen)
	}
}

// A statement that differs slightly from a form is not accepted.
func TestStatements_FormsTellApart(t *testing.T) {
	known := forms(t)
	for _, wrong := range []string{
		`ALTER DATABASE [x] SET PARTNER FAIL_OVER`, `ALTER DATABASE [x] SET PARTNER = 'TCP://a:1'`, `ALTER DATABASE x'y SET PARTNER OFF`,
		`ALTER DATABASE [x] SET PARTNER SAFETY HALF`, `DROP DATABASE [x]]`, `CREATE ENDPOINT [m] STATE = STARTED AS TCP (LISTENER_PORT = 5022) FOR DATABASE_MIRRORING (ROLE = ALL)`,
		`ALTER AVAILABILITY GROUP [g] SET REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 1`,
	} {
		if matches(wrong, known) {
			t.Errorf("accepted: %s", wrong)
		}
	}
}

// TestScripts_Parse parses the scripts with another program. It replaces the statements that the program does not
// support; TestStatements_Forms checks those.
func TestScripts_Parse(t *testing.T) {
	linter, err := exec.LookPath("sqlfluff")
	if err != nil {
		t.Skip("SKIPPED: sqlfluff is not installed (Debian package sqlfluff): no other parser has checked the scripts")
	}
	// sqlfluff is slow. So it gets only one of several batches that differ only in their strings, and those with quotes in
	// their strings.
	shapes, text := map[string]bool{}, strings.Builder{}
	for _, p := range plans(t) {
		for _, s := range p.Scripts() {
			for batch := range strings.SplitSeq(s.Text, "GO\n") {
				for _, s := range p.Steps {
					if s.Kind == Carry || s.Kind == Do && !strings.HasPrefix(s.Text, "DROP DATABASE") {
						batch = strings.ReplaceAll(batch, s.Text+";", "SELECT 1;")
					}
					if s.Repeat != nil {
						batch = strings.ReplaceAll(batch, s.Repeat.Text+";", "SELECT 1;")
					}
				}
				batch = regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(batch, "")
				batch = strings.TrimSpace(regexp.MustCompile(`= \$\(\w+\)`).ReplaceAllString(batch, "= 0x00"))
				shape := regexp.MustCompile(`'[^']*'`).ReplaceAllString(batch, "''")
				if !shapes[shape] && batch != "" {
					shapes[shape] = true
					text.WriteString(batch + "\nGO\n")
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "scripts.sql")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// One rule only, because checking the style would take long.
	out, err := exec.CommandContext(ctx, linter, "lint", "--dialect", "tsql", "--rules", "L009", file).CombinedOutput()
	if bytes.Contains(out, []byte("PRS")) || bytes.Contains(out, []byte("Parsing errors")) || !bytes.Contains(out, []byte("All Finished")) {
		t.Errorf("sqlfluff does not understand the scripts (%v):\n%s", err, out)
	}
}
