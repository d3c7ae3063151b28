package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layout is the part of CONTRIBUTING.md about packages: its two blocks of code, the folders and the imports.
func layout(t *testing.T) (folders, imports string) {
	t.Helper()
	_, rest, _ := strings.Cut(inRepository(t, "CONTRIBUTING.md"), "<!-- layout -->")
	part, _, ok := strings.Cut(rest, "<!-- /layout -->")
	blocks := strings.Split(part, "```")
	if !ok || len(blocks) != 5 {
		t.Fatalf("CONTRIBUTING.md has no layout of two blocks: %d parts", len(blocks))
	}
	return blocks[1], blocks[3]
}

// goPackage is one package of this module.
type goPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

// packages lists this module's packages, by their folders.
func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	const module = "github.com/mirrorstate/mirrorstate/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,GoFiles", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]goPackage{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.Imports = slices.DeleteFunc(p.Imports, func(s string) bool { return !strings.HasPrefix(s, module) })
		for i := range p.Imports {
			p.Imports[i] = strings.TrimPrefix(p.Imports[i], module)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	if len(all) < 40 {
		t.Fatalf("only %d packages are listed", len(all))
	}
	return all
}

// Every folder of a package has a line that says what it is for, and no line names a folder that is not there.
func TestContributing_Folders(t *testing.T) {
	folders, _ := layout(t)
	var above, named []string // the folders that a line is in; by depth
	for line := range strings.Lines(folders) {
		name := strings.TrimLeft(line, " ")
		depth := (len(line) - len(name)) / 2
		name, _, folder := strings.Cut(name, "/ ")
		if !folder {
			if strings.TrimSpace(line) != "" {
				t.Errorf("this line names no folder: %s", line)
			}
			continue
		}
		above = append(above[:min(depth, len(above))], name)
		path := strings.Join(above, "/")
		if _, err := os.Stat("../../" + path); err != nil {
			t.Error(err)
		}
		named = append(named, path)
	}
	for path := range packages(t) {
		if !slices.Contains(named, path) && !strings.Contains(path, "testdata") {
			t.Errorf("no line for %s", path)
		}
	}
}

// A package imports only what stands on a line below its own.
func TestContributing_Imports(t *testing.T) {
	_, imports := layout(t)
	lineOf := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(imports))
	for n := 1; lines.Scan(); n++ {
		for _, path := range strings.Fields(lines.Text()) {
			lineOf[path] = n
		}
	}
	for path, p := range packages(t) {
		from := lineOf[path]
		for _, to := range p.Imports {
			if lineOf[to] <= from {
				t.Errorf("%s, line %d, imports %s, line %d", path, from, to, lineOf[to])
			}
		}
		if imported := len(p.Imports) > 0; imported && from == 0 && len(p.GoFiles) > 0 && !strings.Contains(path, "testdata") {
			t.Errorf("no line has %s, which imports %v", path, p.Imports)
		}
	}
}

// The edits that CONTRIBUTING.md asks a newcomer to make fit the code.
func TestContributing_Edits(t *testing.T) {
	page := inRepository(t, "CONTRIBUTING.md")
	edit := regexp.MustCompile(`sed -i 's/(.+)/(.+)/' (\S+)`).FindStringSubmatch(page)
	if edit == nil {
		t.Fatal("CONTRIBUTING.md has no sed command")
	}
	if n := strings.Count(inRepository(t, edit[3]), edit[1]); n != 1 {
		t.Errorf("%s has %q %d times, want once", edit[3], edit[1], n)
	}
	if !strings.Contains(inRepository(t, "session/storetest/locking.go"), "\nfunc locking(t *testing.T, s Subject) {\n\trun(t, s, ") {
		t.Error("session/storetest/locking.go has no func locking that runs promises")
	}
}
