package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/manpage"
)

// newMan returns the hidden command that writes the manual pages, for packages of the program.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a folder",
		Example: "  mirrorstate man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    exactly(1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			built := stamped()
			return manpage.Write(args[0], cmd.Root(), manpage.Book{Version: built.version, Date: built.time, Sections: manSections})
		},
	}
}

// manSections are the sections of the program's own page that its help does not have.
var manSections = []manpage.Section{
	{Title: "EXIT STATUS", Items: []manpage.Item{
		{Term: "0", Text: "The command did what it was asked to do."},
		{Term: "1", Text: "The command failed, or the configuration cannot be used. One line on standard error says why."},
		{Term: "2", Text: "The command line cannot be used. One line on standard error says why."},
	}},
	{Title: "ENVIRONMENT", Items: []manpage.Item{
		{Term: "MIRRORSTATE_…", Text: "Every key of the configuration: pair.hold.window is MIRRORSTATE_PAIR_HOLD_WINDOW."},
		{Term: credential.Variable, Text: "The key that a command shows a running server, unless --key-file names a file."},
		{Term: "MIRRORSTATE_EMBEDDED_PASSWORD", Text: "The password of the embedded pair, in place of the one that is made at its first start."},
		{Term: "OTEL_…", Text: "Where traces are sent, as in OpenTelemetry."},
	}},
	{Title: "FILES", Items: []manpage.Item{
		{Term: "/etc/mirrorstate/mirrorstate.yaml", Text: "The configuration of the systemd unit. No other command reads it unless --config names it."},
		{Term: "/var/lib/mirrorstate", Text: "The data folder of the systemd unit. Elsewhere it is mirrorstate in the user's state directory."},
	}},
}
