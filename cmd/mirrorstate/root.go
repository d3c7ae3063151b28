package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// settings are the flags that every command has.
type settings struct {
	configFile string
	verbose    bool
}

func newRoot() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:           "mirrorstate",
		Short:         "Web session state that survives a database failover",
		Long:          "mirrorstate keeps web sessions in the ASP.NET ASPState tables on a pair of SQL Servers,\nand always uses the present principal. Without configuration it runs on an embedded pair.",
		Example:       "  mirrorstate serve\n  mirrorstate pair status\n  mirrorstate session list",
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().StringVar(&s.configFile, "config", "", "configuration `FILE` (YAML); MIRRORSTATE_… variables and flags override it")
	root.PersistentFlags().BoolVar(&s.verbose, "verbose", false, "log at debug level")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { warnAboutKeyFile(cmd) }
	root.AddCommand(newServe(s), newEmbedded(s), newPair(s), newSession(s), newSweep(s), newInstall(s), newUninstall(s), newDoctor(s), newReady(s), newKey(s),
		newLoadtest(s), newWebConfig(s), newVersion(), newMan())
	return root
}

// exactly requires n arguments; wanted names them in the error.
func exactly(n int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage.Errorf("%s takes %s; see --help", cmd.CommandPath(), wanted)
		}
		return nil
	}
}

// warnAboutKeyFile warns of a --key-file that other users can read.
func warnAboutKeyFile(cmd *cobra.Command) {
	flag := cmd.Flags().Lookup("key-file")
	if flag == nil {
		return
	}
	if e := secretfile.Check(flag.Value.String()); e != nil && !e.Changeable {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: --key-file: %v\n", e)
	}
}

// load reads the configuration. An invalid flag is a misuse.
func (s *settings) load(flags ...config.Setting) (config.Config, error) {
	cfg, err := config.Load(s.configFile, os.LookupEnv, flags...)
	if err == nil {
		err = config.CheckEnvironment(os.Environ())
	}
	if wrong, ok := errors.AsType[config.Mistakes](err); ok && wrong.ByFlag() {
		err = usage.Of(err)
	}
	return cfg, err
}
