package mutants

import (
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	runFlag  = flag.Bool("mutants", false, "break the code in every way of the table, and run the tests that must notice")
	onlyFlag = flag.String("mutants.only", "", "only the mutants whose invariant, name and procedure match, such as '^I3 ' or 'MirrorState_Sweep'")
)

// root is the path of the module from this folder.
const root = "../../.."

// mutant is one deliberate break of the code.
type mutant struct {
	invariant string // in DESIGN.md: I1 to I9
	name      string // what the broken code does
	file      string // path from the module's root
	within    string // of a .sql file: the procedure to break; the snippet is its first occurrence there
	after     string // the snippet comes after this text
	old, new  string // a snippet that occurs once, and its replacement
	pkg       string // package of the test, as a path from the root
	test      string // the test that must fail, or one of its subtests: TestX/theme/promise
	hangs     bool   // the test does not fail but hangs
}

// mutants are all mutants, sorted by invariant.
var mutants = slices.SortedStableFunc(slices.Values(slices.Concat(pairMutants, sessionMutants, sealMutants, textMutants())), func(a, b mutant) int {
	return strings.Compare(a.invariant, b.invariant)
})

// String returns a name that is unique among the mutants.
func (m mutant) String() string {
	if m.within != "" {
		return m.invariant + " " + m.name + ", " + m.within
	}
	return m.invariant + " " + m.name
}

// broken returns the mutant's file with the break.
func (m mutant) broken() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	if m.within != "" {
		return m.brokenWithin(string(text))
	}
	if n := strings.Count(string(text), m.old); n != 1 || m.old == m.new {
		return nil, fmt.Errorf("%s has this snippet %d times, want once, and a different replacement:\n%s", m.file, n, m.old)
	}
	return []byte(strings.Replace(string(text), m.old, m.new, 1)), nil
}

// brokenWithin breaks one procedure of a .sql file.
func (m mutant) brokenWithin(text string) ([]byte, error) {
	before, rest, ok := strings.Cut(text, "\nCREATE PROCEDURE dbo."+m.within+"\n")
	body, after, ends := strings.Cut(rest, "\nGO\n")
	_, place, found := strings.Cut(body, m.after)
	if !ok || !ends || !found || !strings.Contains(place, m.old) || m.old == m.new {
		return nil, fmt.Errorf("%s has no procedure %s with this snippet after %q, and a different replacement:\n%s", m.file, m.within, m.after, m.old)
	}
	body = strings.TrimSuffix(body, place) + strings.Replace(place, m.old, m.new, 1)
	return []byte(before + "\nCREATE PROCEDURE dbo." + m.within + "\n" + body + "\nGO\n" + after), nil
}

// The tables match the code.
func TestMutants_Apply(t *testing.T) {
	names, perInvariant, tests := map[string]bool{}, map[string]int{}, map[string][]string{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("two mutants have the name %q", m.name)
		}
		names[m.name] = true
		perInvariant[m.invariant]++
		text, err := m.broken()
		if err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		if _, err := format.Source(text); err != nil && m.within == "" {
			t.Errorf("%s: the broken file is not valid Go: %v", m, err)
		}
		if tests[m.pkg] == nil {
			tests[m.pkg] = testsOf(t, m.pkg)
		}
		if test, _, _ := strings.Cut(m.test, "/"); !slices.Contains(tests[m.pkg], test) {
			t.Errorf("%s: %s has no test %s", m, m.pkg, test)
		}
	}
	for i := 1; i <= 9; i++ {
		invariant := fmt.Sprint("I", i)
		if perInvariant[invariant] == 0 {
			t.Errorf("no mutant breaks %s", invariant)
		}
		delete(perInvariant, invariant)
	}
	if len(perInvariant) > 0 {
		t.Errorf("unknown invariants: %v", perInvariant)
	}
}

// testsOf returns the names of the tests in a package's folder.
func testsOf(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// The tests pass on the code as it is, and each break makes its test fail.
func TestMutants_Caught(t *testing.T) {
	if !*runFlag {
		t.Skip("it takes some minutes: make mutants")
	}
	chosen := among(t, *onlyFlag)
	began := time.Now()
	if !t.Run("the code as it is", func(t *testing.T) { sound(t, chosen) }) {
		return
	}
	binaries := textBinaries{}
	binaries.build(t, chosen)
	var caught strings.Builder
	table := tabwriter.NewWriter(&caught, 0, 0, 2, ' ', 0)
	n := 0
	for _, m := range chosen {
		t.Run(m.String(), func(t *testing.T) {
			red := m.prove(t, binaries)
			if red == "" {
				red = "nothing"
			} else {
				n++
			}
			fmt.Fprintf(table, "%s\t%s\n", m, red)
		})
	}
	if err := table.Flush(); err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d mutants were caught, in %v; the test that failed first:\n%s", n, len(chosen), time.Since(began).Round(time.Second), &caught)
}

// among returns the mutants that match.
func among(t *testing.T, only string) (chosen []mutant) {
	t.Helper()
	match, err := regexp.Compile(only)
	if err != nil {
		t.Fatalf("-mutants.only: %v", err)
	}
	for _, m := range mutants {
		if match.MatchString(m.String()) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		t.Fatalf("-mutants.only %q matches no mutant", only)
	}
	return chosen
}

// sound checks that the tests pass on the code as it is.
func sound(t *testing.T, chosen []mutant) {
	tests := map[string][]string{}
	for _, m := range chosen {
		if !slices.Contains(tests[m.pkg], m.test) {
			tests[m.pkg] = append(tests[m.pkg], m.test)
		}
	}
	for pkg, list := range tests {
		r := runTests(t, pkg, list, timeLimit)
		if r.result != "pass" {
			t.Errorf("%s fails without a mutant; the first test that failed is %q:\n%s", pkg, r.firstRed, r.tail())
			continue
		}
		for _, test := range list {
			if !r.passed[asReported(test)] {
				t.Errorf("%s did not run %s, or skipped it", pkg, test)
			}
		}
	}
}

// prove runs the mutant's test on the broken code, and returns the first test that failed. It reports an error to t if
// no test failed, or if the broken code does not build.
func (m mutant) prove(t *testing.T, binaries textBinaries) (red string) {
	limit := timeLimit
	if m.hangs {
		limit = hangLimit
	}
	var r *report
	if m.within != "" {
		r = binaries.runTests(t, m, limit)
	} else {
		r = runTests(t, m.pkg, []string{m.test}, limit, "-overlay", overlay(t, m))
	}
	switch {
	case r.failedBuild:
		t.Errorf("not a mutant: it does not build:\n%s", r.tail())
	case r.result == "pass":
		t.Errorf("survived: %s passes with this break in %s", m.test, m.file)
	case r.timedOut && !m.hangs:
		t.Errorf("%s did not end within %v:\n%s", m.test, limit, r.tail())
	case r.timedOut:
		return r.running() + " never ended"
	case r.firstRed != "":
		return r.firstRed
	case r.crashed:
		return r.running() + " crashed"
	default:
		t.Errorf("no test failed, but the package did (%q):\n%s", r.result, r.tail())
	}
	return ""
}
