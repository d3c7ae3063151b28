package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/config"
)

func newLoadtest(s *settings) *cobra.Command {
	var (
		flags    loadtest.Flags
		cred     credential.Files
		asJSON   bool
		htmlFile string
	)
	cmd := &cobra.Command{
		Use:   "loadtest",
		Short: "Generate load, cause failovers, and report their cost",
		Long: "Generates load at a fixed rate, causes failovers meanwhile, compares every session with what was\n" +
			"acknowledged, and prints a report. Without --target it starts an embedded pair and a server of its own, and\n" +
			"causes one failover of each kind within a minute. It exits with 1 if a request failed, a write was lost, or a lock was granted twice.",
		Example: "  mirrorstate loadtest --html report.html\n" +
			"  mirrorstate loadtest --via http,driver --failover manual@10s,crash@25s\n" +
			"  mirrorstate loadtest --target http://10.0.0.5:8080 --admin http://10.0.0.5:8081 --rate 200 --failover manual@30s",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cred.FromCaller(&flags.Client); err != nil {
				return err
			}
			var err error
			if flags.ConnectionString, err = config.WithPassword(flags.ConnectionString, os.LookupEnv); err != nil {
				return misuse.Of(err)
			}
			opts, err := flags.Options()
			if err != nil {
				return asMisuse(err)
			}
			env, err := loadtestEnvironment(cmd, s)
			if err != nil {
				return err
			}
			return runLoadtest(cmd.Context(), opts, env, cmd.OutOrStdout(), asJSON, htmlFile)
		},
	}
	addLoadtestFlags(cmd, &flags)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&htmlFile, "html", "", "also write the report as an HTML page to `FILE`")
	cred.Add(cmd.Flags())
	cmd.AddCommand(newLoadtestChild())
	return cmd
}

func addLoadtestFlags(cmd *cobra.Command, f *loadtest.Flags) {
	v := cmd.Flags()
	v.StringArrayVar(&f.Targets, "target", nil, "`URL` of the session API to load; repeat it for a fleet on one pair (default: a pair and a server of its own)")
	v.StringVar(&f.Admin, "admin", "", "`URL` of the operators' listener of a target: it causes the failovers and reports the events")
	v.StringVar(&f.ConnectionString, "connection-string", "", "start a server on this pair and load it: an ADO.NET string `S` with data source and failover partner"+operator.PasswordHint)
	v.Float64Var(&f.Rate, "rate", 500, "requests started per second, for each --via; 0: as many as the clients can send")
	v.IntVar(&f.Clients, "clients", 200, "requests under way at the same time at most, for each --via")
	v.DurationVar(&f.Duration, "duration", time.Minute, "how long to measure")
	v.DurationVar(&f.Warmup, "warmup", 2*time.Second, "how long the load runs before measuring begins")
	v.StringVar(&f.Failovers, "failover", "", "failovers and their times, such as `manual@15s,crash@30s`: manual, force, crash, freeze, isolate, partition, sever; or none (default: without a target, one of each kind that its own pair supports)")
	v.StringVar(&f.Vias, "via", "", "ways to compare, such as `http,driver`: http, driver, direct, statement")
	v.StringVar(&f.Mix, "mix", "web", "the workload: web, read-mostly or cart, or weights such as `lock=60,read=35,touch=5`, and renew")
	v.StringVar(&f.Size, "size", "", "bytes of an item, such as `512..8192` (default: the workload's)")
	v.IntVar(&f.Sessions, "sessions", 0, "number of sessions (default: the workload's)")
	v.DurationVar(&f.Think, "think", -1, "time between taking a lock and writing (default: the workload's)")
	v.DurationVar(&f.Timeout, "timeout", 40*time.Second, "how long a client waits for an answer; a quarter of it for a lock")
	v.StringVar(&f.Tolerate, "tolerate", "", "findings that do not make it exit with 1, such as `failed=3,unread`: failed, lost, granted, resurrected, ghost, damaged, unread, refused")
	v.DurationVar(&f.Limits.MaxStall, "max-stall", 0, "longest wait of a request in a failover; a longer one fails the run (default no limit)")
	v.DurationVar(&f.Limits.MaxP99, "max-p99", 0, "largest p99 latency outside failovers; a larger one fails the run (default no limit)")
	v.Uint64Var(&f.Seed, "seed", 1, "seed of the random numbers")
	cmd.Flag("think").DefValue = "0s" // pflag prints no default for the zero value
}

// asMisuse marks a usage error of the load test as a misuse.
func asMisuse(err error) error {
	if _, ok := errors.AsType[*loadtest.UsageError](err); ok {
		return misuse.Of(err)
	}
	return err
}

// loadtestEnvironment returns the environment of the load test. Its child processes run this program.
func loadtestEnvironment(cmd *cobra.Command, s *settings) (env loadtest.Environment, err error) {
	program, err := os.Executable()
	if err != nil {
		return env, fmt.Errorf("find this program's file, to start child processes: %w", err)
	}
	env = loadtest.Environment{
		Program: []string{program, "loadtest", childCommand}, Config: s.configFile, Verbose: s.verbose,
		Version: buildVersion(), Progress: cmd.ErrOrStderr(),
	}
	if f, ok := env.Progress.(*os.File); ok {
		env.Terminal = isatty.IsTerminal(f.Fd())
	}
	return env, nil
}

// runLoadtest runs the load test and writes the report. It creates the page's file first, so that no run is lost because
// the file can't be written.
func runLoadtest(ctx context.Context, opts loadtest.Options, env loadtest.Environment, out io.Writer, asJSON bool, htmlFile string) (err error) {
	var page *os.File
	if htmlFile != "" {
		if page, err = os.Create(htmlFile); err != nil {
			return misuse.Errorf("--html: %w; name a file that this user can write", err)
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	report, err := loadtest.Run(ctx, opts, env)
	if err != nil {
		return asMisuse(err)
	}
	if page != nil {
		if err := report.WriteHTML(page); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	write := report.Write
	if asJSON {
		write = report.WriteJSON
	}
	if err := write(out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if len(report.Findings) > 0 {
		return errors.New("load test failed: " + strings.Join(report.Findings, "; ") + "; see the report, or relax the limits with --tolerate, --max-stall or --max-p99")
	}
	return nil
}
