// The certificates that older SQL Servers make for themselves have serial numbers below zero, which Go refuses by default.
// go.mod says the same for the tests; this line also holds for go install …@version, which takes no settings from go.mod.
//
//go:debug x509negativeserial=1

// Command mirrorstate keeps shared web session state on a pair of SQL Servers,
// so that a failover is a wait and not an error. See the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() { os.Exit(runWithSignals()) }

// runWithSignals runs the program until it is done or told to stop. The first signal
// lets what is under way end; the second one, not caught any more, ends the process.
func runWithSignals() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals // the process ends with main, and this with it
		signal.Stop(signals)
		cancel(server.StoppedBy{Signal: s})
	}()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// run is the whole program: it parses args, does what they say, and returns the
// exit code. Results go to stdout, errors in one line to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root) // which takes the output along
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "mirrorstate: "+strings.Join(strings.Fields(err.Error()), " ")+hint(err))
	if misuse.Is(err) || strings.HasPrefix(err.Error(), "unknown command") {
		return exitMisuse
	}
	return exitFailed
}

// hint is what to do about an error, where its text can't know the flags of this program.
func hint(err error) string {
	answer, _ := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; is mirrorstate serve running there? name its operators' listener with --admin"
	case answer == nil:
		return ""
	case answer.Status == http.StatusUnauthorized:
		return "; name the file of a key with --key-file, or put the key into " + credential.Variable
	case answer.Status == http.StatusNotFound && answer.Name == "":
		return operator.AdminHint
	}
	return ""
}

// settings are the flags every command has.
type settings struct {
	configFile string
	verbose    bool
}

func newRoot() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:           "mirrorstate",
		Short:         "Session state that does not notice a database failover",
		Long:          "mirrorstate keeps web sessions in the ASP.NET ASPState tables on a pair of SQL Servers\nand follows the principal wherever it goes. Without configuration it runs on an embedded pair.",
		Example:       "  mirrorstate serve\n  mirrorstate pair status\n  mirrorstate session list",
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().StringVar(&s.configFile, "config", "", "configuration `FILE` (YAML); MIRRORSTATE_… variables and flags win over it")
	root.PersistentFlags().BoolVar(&s.verbose, "verbose", false, "log at debug level")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { warnAboutKeyFile(cmd) }
	root.AddCommand(newServe(s), newEmbedded(s), newPair(s), newSession(s), newSweep(s), newInstall(s), newUninstall(s), newDoctor(s), newReady(s), newKey(s),
		newLoadtest(s), newWebConfig(s), newVersion(), newMan())
	return root
}

// exactly wants n arguments and says which.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return misuse.Errorf("%s wants %s; see --help", cmd.CommandPath(), usage)
		}
		return nil
	}
}

// warnAboutKeyFile tells of a --key-file that others can read.
func warnAboutKeyFile(cmd *cobra.Command) {
	flag := cmd.Flags().Lookup("key-file")
	if flag == nil {
		return
	}
	if e := secretfile.Check(flag.Value.String()); e != nil && !e.Changeable {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: --key-file: %v\n", e)
	}
}

// load reads the configuration. What a flag of this call can't mean is a misuse.
func (s *settings) load(flags ...config.Setting) (config.Config, error) {
	cfg, err := config.Load(s.configFile, os.LookupEnv, flags...)
	if err == nil {
		err = config.CheckEnvironment(os.Environ())
	}
	if wrong, ok := errors.AsType[config.Mistakes](err); ok && wrong.ByFlag() {
		err = misuse.Of(err)
	}
	return cfg, err
}
