package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// version is set by who builds without git: -ldflags "-X main.version=v1.2.3". It wins over what the go command stamps.
var version = ""

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  mirrorstate version",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

// versionLine is what mirrorstate version says, and --version.
func versionLine() string {
	return fmt.Sprintf("mirrorstate %s, %s %s/%s", stamped(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion returns the version alone, for logs, headers and metrics.
func buildVersion() string { return stamped().version }

// stamp says from what a program was built.
type stamp struct {
	version string    // v1.2.3, a pseudo-version, or (devel)
	commit  string    // the whole hash; empty where the go command did not see a repository
	time    time.Time // of the commit; zero likewise
}

// stamped returns this program's stamp.
func stamped() stamp {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return stampOf(info, version)
}

// stampOf reads a build's information. A build of a commit (go build in a clone) has all three, one of a published
// version (go install …@v1.2.3) the version only, and go run has none. The version that is set at link time wins.
func stampOf(info *debug.BuildInfo, linked string) stamp {
	s := stamp{version: linked}
	if s.version == "" {
		s.version = info.Main.Version
	}
	if s.version == "" {
		s.version = "(devel)"
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			s.commit = setting.Value
		case "vcs.time":
			s.time, _ = time.Parse(time.RFC3339, setting.Value) // zero: not known
		}
	}
	return s
}

// String is the version, and the commit where it is known and not a part of the version.
func (s stamp) String() string {
	short := s.commit[:min(12, len(s.commit))]
	if short == "" || strings.Contains(s.version, short) {
		return s.version
	}
	if s.time.IsZero() {
		return fmt.Sprintf("%s (commit %s)", s.version, short)
	}
	return fmt.Sprintf("%s (commit %s, %s)", s.version, short, s.time.UTC().Format(time.DateOnly))
}
