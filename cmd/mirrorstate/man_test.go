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

// Each command that --help shows has a page, and each of its flags stands on it. The formatter has nothing to say to them.
func TestMan(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := said(t, "man", dir); code != exitDone {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	groff, _ := exec.LookPath("groff")
	pages := 0
	root := newRoot()
	addCompletion(root)
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.HasParent() && cmd.Parent().Hidden {
			return
		}
		pages++
		file := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		page, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			return
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if term := `\fB\-\-` + strings.ReplaceAll(f.Name, "-", `\-`) + `\fR`; !f.Hidden && f.Name != "help" && !strings.Contains(string(page), term) {
				t.Errorf("%s: --%s is missing", file, f.Name)
			}
		})
		if groff == "" {
			return
		}
		if out, err := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-ww", "-z", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff: %v\n%s", err, out)
		}
	})
	written, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(written) != pages || pages < 25 {
		t.Errorf("%d commands, %d pages, %v", pages, len(written), err)
	}
	if code, _, stderr := said(t, "man"); code != exitMisuse || !strings.Contains(stderr, "takes one folder") {
		t.Errorf("without a folder: exit %d, %s", code, stderr)
	}
}
