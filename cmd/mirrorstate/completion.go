package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	workload "github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// choice holds the values of a flag whose placeholder in --help does not list them, as on|off does.
type choice struct {
	values []string
	list   bool   // the flag takes several values, separated by commas
	tail   string // text after a value, such as @ before the time of a failover
}

// choices holds the choice of each flag, by its name. The help of the flag names each value.
var choices = map[string]choice{
	"topology": {values: []string{operate.Mirroring, operate.Group}},
	"failover": {values: measure.Kinds, list: true, tail: "@"},
	"via":      {values: measure.Vias, list: true},
	"mix":      {values: workload.PresetNames()},
	"tolerate": {values: report.Findings, list: true},
	"right":    {values: (keyring.Sessions | keyring.List | keyring.Operators).Names(), list: true},
}

// addCompletion adds what a shell offers for each flag and argument: the values if there are few, files if --help says
// FILE, folders if it says DIR, and nothing otherwise. The output of root must be set before.
func addCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	adaptCompletion(root)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		completeArgument(cmd)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// adaptCompletion gives cobra's completion command a help and an error like those of the other commands.
func adaptCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "Print the script with which a shell completes this program's commands"
		cmd.Example = "  source <(mirrorstate completion bash)\n  mirrorstate completion fish > ~/.config/fish/completions/mirrorstate.fish"
		cmd.Args = exactly(0, "bash, zsh, fish or powershell")
		cmd.RunE = func(*cobra.Command, []string) error {
			return usage.Errorf("completion takes a shell (bash, zsh, fish or powershell); see completion --help")
		}
	}
}

// completeArgument completes the first argument of a command. It reads the values from the usage, such as accept a|b.
func completeArgument(cmd *cobra.Command) {
	_, argument, _ := strings.Cut(cmd.Use, " ")
	values := alternatives(argument)
	switch {
	case argument == "DIR":
		cmd.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	case len(values) > 0:
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// completeFlag completes a flag. It reads the values from the flag's placeholder, or from choices.
func completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	placeholder, _ := pflag.UnquoteUsage(f)
	values := alternatives(placeholder)
	var complete cobra.CompletionFunc
	switch c, ok := choices[f.Name]; {
	case len(values) > 0:
		complete = cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	case ok && c.list:
		complete = c.next
	case ok:
		complete = cobra.FixedCompletions(c.values, cobra.ShellCompDirectiveNoFileComp)
	case f.Name == "config":
		complete = cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	case placeholder == "FILE":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case placeholder == "DIR":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	default:
		return
	}
	// An error means that the command has no such flag, or that the flag is completed already.
	_ = cmd.RegisterFlagCompletionFunc(f.Name, complete)
}

// alternatives returns the values of a placeholder that lists them, such as on|off, or nil.
func alternatives(placeholder string) []string {
	if !strings.Contains(placeholder, "|") {
		return nil
	}
	return strings.Split(placeholder, "|")
}

// next returns the values that may follow the last comma. A value that was typed before is offered again only if it has a tail.
func (c choice) next(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := ""
	if i := strings.LastIndex(typed, ","); i >= 0 {
		before = typed[:i+1]
	}
	var offered []cobra.Completion
	for _, v := range c.values {
		if c.tail != "" || !slices.Contains(strings.Split(before, ","), v) {
			offered = append(offered, before+v+c.tail)
		}
	}
	return offered, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
