package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "github.com/goccy/go-yaml"

	"github.com/mirrorstate/mirrorstate/config"
)

// inRepository reads a file by its path in the repository.
func inRepository(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The example configuration that packages install sets nothing, and each of its keys is one.
func TestExampleConfiguration(t *testing.T) {
	text := inRepository(t, "deploy/mirrorstate.yaml")
	enabled := regexp.MustCompile(`(?m)^#((?:  )?[a-z_]+:)`).ReplaceAllString(text, "$1")
	if strings.Count(enabled, "\n#") == strings.Count(text, "\n#") {
		t.Fatal("there is no key in it")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("A-secret-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	enabled = strings.ReplaceAll(enabled, "/etc/mirrorstate", dir)
	file := filepath.Join(dir, "mirrorstate.yaml")
	for name, content := range map[string]string{"as it stands": text, "with every key": enabled} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, configured := cfg.Partners(); configured != (content == enabled) {
			t.Errorf("%s: a pair is configured: %t", name, configured)
		}
	}
}

// The scripts of the Debian package are scripts, and its user is the unit's.
func TestDebianPackage(t *testing.T) {
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		file := filepath.Join("..", "..", "deploy", "debian", name)
		if text := inRepository(t, "deploy/debian/"+name); !strings.HasPrefix(text, "#!/bin/sh\n") || !strings.Contains(text, "\nset -e\n") {
			t.Errorf("%s is no script that ends at the first error", name)
		}
		if shell, err := exec.LookPath("sh"); err == nil {
			if out, err := exec.CommandContext(t.Context(), shell, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
	unit := inRepository(t, "deploy/systemd/mirrorstate.service")
	if user := inRepository(t, "deploy/debian/sysusers.conf"); !strings.Contains(user, "\nu mirrorstate ") || !strings.Contains(unit, "\nUser=mirrorstate\n") {
		t.Errorf("the unit and the package have different users: %s", user)
	}
}

// workflow is what is looked at of a file of .github/workflows.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

// The public workflows do what can be done here, with actions of a known commit, and may write only to make a release.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40}$`)
	for name, want := range map[string]struct {
		run    string
		writes int
	}{"ci": {"bash .ci/run", 0}, "release": {"make release", 1}} {
		var w workflow
		if err := yaml.Unmarshal([]byte(inRepository(t, ".github/workflows/"+name+".yml")), &w); err != nil {
			t.Fatal(err)
		}
		writes, runs := slices.Collect(maps.Values(w.Permissions)), ""
		for _, job := range w.Jobs {
			writes = slices.AppendSeq(writes, maps.Values(job.Permissions))
			for _, s := range job.Steps {
				runs += s.Run + "\n"
				if s.Uses != "" && !pinned.MatchString(s.Uses) {
					t.Errorf("%s: %s is not pinned", name, s.Uses)
				}
			}
		}
		writes = slices.DeleteFunc(writes, func(right string) bool { return right == "read" || right == "none" })
		if len(writes) != want.writes || w.Permissions == nil || !strings.Contains(runs, want.run) {
			t.Errorf("%s: rights %v, runs %q", name, writes, runs)
		}
	}
}
