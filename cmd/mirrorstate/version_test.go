package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestStampOf(t *testing.T) {
	const commit = "72bb1e0c1a2b3c4d5e6f"
	vcs := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit}, {Key: "vcs.time", Value: "2026-11-30T20:14:17Z"}}
	for _, c := range []struct {
		name   string
		info   debug.BuildInfo
		linked string
		want   string
	}{
		{"go run", debug.BuildInfo{}, "", "(devel)"},
		{"go install of a version", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "", "v1.2.3"},
		{"a tag", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: vcs}, "", "v1.2.3 (commit 72bb1e0c1a2b, 2026-11-30)"},
		{"a commit, whose version names it", debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261130201417-72bb1e0c1a2b"}, Settings: vcs}, "",
			"v0.0.0-20261130201417-72bb1e0c1a2b"},
		{"set at link time", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "v1.2.3", "v1.2.3"},
		{"without the commit's time", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: vcs[:2]}, "", "v1.2.3 (commit 72bb1e0c1a2b)"},
	} {
		if got := stampOf(&c.info, c.linked).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := stampOf(&debug.BuildInfo{Settings: vcs}, ""); got.commit != commit || !got.time.Equal(time.Date(2026, 11, 30, 20, 14, 17, 0, time.UTC)) {
		t.Errorf("got %+v", got)
	}
}

// go install …@version builds only modules whose go.mod changes no other module.
func TestGoInstall_NothingReplaced(t *testing.T) {
	text, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Join("..", "..", "go.mod")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Replace, Exclude []any }
	if err := json.Unmarshal(text, &mod); err != nil || len(mod.Replace)+len(mod.Exclude) > 0 {
		t.Errorf("%v; replaced: %v, excluded: %v", err, mod.Replace, mod.Exclude)
	}
}

// A program that is built as README and releases build it says the version it was built with.
func TestBuild_SaysItsVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: builds the program")
	}
	program := filepath.Join(t.TempDir(), "mirrorstate.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w -X main.version=v9.8.7", "-o", program, ".")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, arg := range []string{"version", "--version"} {
		out, err := exec.CommandContext(t.Context(), program, arg).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "mirrorstate v9.8.7") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %q", arg, err, out)
		}
	}
}
