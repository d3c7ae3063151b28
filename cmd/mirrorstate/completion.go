package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
)

// choice is what a flag may be, where its placeholder in --help (such as on|off) does not list it.
type choice struct {
	values []string
	list   bool   // several, with commas between
	tail   string // what follows a value: @15s of a failover
}

// choices are by the name of the flag. Its help text names each value.
var choices = map[string]choice{
	"topology": {values: []string{"mirroring", "availability-group"}},
	"failover": {values: []string{"manual", "force", "crash", "freeze", "isolate", "partition", "sever"}, list: true, tail: "@"},
	"via":      {values: []string{"http", "driver", "direct", "statement"}, list: true},
	"mix":      {values: []string{"web", "read-mostly", "cart"}},
	"tolerate": {values: []string{"failed", "lost", "granted", "resurrected", "ghost", "damaged", "unread", "refused"}, list: true},
	"right":    {values: []string{"read", "write", "lock", "remove", "list", "observe", "operator"}, list: true},
}

// addCompletion tells shells what may stand where: the values of flags and arguments that have few, files where
// --help says FILE, folders where it says DIR, and elsewhere nothing. The output of root must be set before.
func addCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	nameCompletion(root)
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

// nameCompletion gives cobra's own command the manners of ours.
func nameCompletion(root *cobra.Command) {
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

// completeArgument reads the values of a command's first argument from its usage: accept a|b.
func completeArgument(cmd *cobra.Command) {
	_, argument, _ := strings.Cut(cmd.Use, " ")
	values := alternatives(argument)
	switch {
	case argument == "DIR":
		cmd.ValidArgsFunction = offer(nil, cobra.ShellCompDirectiveFilterDirs)
	case len(values) > 0:
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// completeFlag reads them from the flag's placeholder, or from choices.
func completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	placeholder, _ := pflag.UnquoteUsage(f)
	var complete cobra.CompletionFunc
	switch c, ok := choices[f.Name]; {
	case len(alternatives(placeholder)) > 0:
		complete = offer(alternatives(placeholder), cobra.ShellCompDirectiveNoFileComp)
	case ok && c.list:
		complete = c.next
	case ok:
		complete = offer(c.values, cobra.ShellCompDirectiveNoFileComp)
	case f.Name == "config":
		complete = offer([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
	case placeholder == "FILE":
		complete = offer(nil, cobra.ShellCompDirectiveDefault)
	case placeholder == "DIR":
		complete = offer(nil, cobra.ShellCompDirectiveFilterDirs)
	default:
		return
	}
	// An error says that the command has no such flag, or that it is completed already.
	_ = cmd.RegisterFlagCompletionFunc(f.Name, complete)
}

// alternatives are the values of a placeholder that lists them, such as on|off; otherwise none.
func alternatives(placeholder string) []string {
	if !strings.Contains(placeholder, "|") {
		return nil
	}
	return strings.Split(placeholder, "|")
}

// offer offers the same always.
func offer(values []string, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, directive)
}

// next offers what may come after the last comma, and is not there yet.
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
