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
		Short: "Drive load, have the pair fail over, and say what that cost",
		Long: "Drives load at a fixed rate, has the pair fail over meanwhile, checks every session against what was\n" +
			"acknowledged, and reports. Without --target it brings up an embedded pair and a server of its own, and\n" +
			"shows one failover of each kind in a minute. It exits with 1 if anything failed, was lost, or was granted twice.",
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
	cmd.Flags().StringVar(&htmlFile, "html", "", "write the report as a page to `FILE`, too")
	cred.Add(cmd.Flags())
	cmd.AddCommand(newLoadtestChild())
	return cmd
}

func addLoadtestFlags(cmd *cobra.Command, f *loadtest.Flags) {
	v := cmd.Flags()
	v.StringArrayVar(&f.Targets, "target", nil, "session API to load, a `URL`; repeat it for a fleet on one pair (default: an own pair and server)")
	v.StringVar(&f.Admin, "admin", "", "operators' listener of a target, a `URL`: asked for failovers, and followed")
	v.StringVar(&f.ConnectionString, "connection-string", "", "load an own server on this pair: an ADO.NET string `S` with data source and failover partner"+operator.PasswordHint)
	v.Float64Var(&f.Rate, "rate", 500, "requests a second that start, each way; 0: as many as the clients can make")
	v.IntVar(&f.Clients, "clients", 200, "how many requests may be under way, each way")
	v.DurationVar(&f.Duration, "duration", time.Minute, "how long is measured")
	v.DurationVar(&f.Warmup, "warmup", 2*time.Second, "how long the load runs before that")
	v.StringVar(&f.Failovers, "failover", "", "failovers and when, such as `manual@15s,crash@30s`: manual, force, crash, freeze, isolate, partition, sever; or none (default: without a target one of each that an own pair can do)")
	v.StringVar(&f.Vias, "via", "", "ways to compare, such as `http,driver`: http, driver, direct, statement")
	v.StringVar(&f.Mix, "mix", "web", "the workload: web, read-mostly or cart, or weights such as `lock=60,read=35,touch=5`, and renew")
	v.StringVar(&f.Size, "size", "", "bytes of an item, such as `512..8192` (default: the workload's)")
	v.IntVar(&f.Sessions, "sessions", 0, "how many sessions (default: the workload's)")
	v.DurationVar(&f.Think, "think", -1, "between taking a lock and storing (default: the workload's)")
	v.DurationVar(&f.Timeout, "timeout", 40*time.Second, "how long a client waits for an answer; a quarter of it for a lock")
	v.StringVar(&f.Tolerate, "tolerate", "", "what is no reason to exit with 1, such as `failed=3,unread`: failed, lost, granted, resurrected, ghost, damaged, unread, refused")
	v.DurationVar(&f.Limits.MaxStall, "max-stall", 0, "the longest that a request may wait in a failover; longer fails the run (default no limit)")
	v.DurationVar(&f.Limits.MaxP99, "max-p99", 0, "the largest p99 outside the failovers; more fails the run (default no limit)")
	v.Uint64Var(&f.Seed, "seed", 1, "chooses the random numbers")
	cmd.Flag("think").DefValue = "0s" // pflag prints no default for the zero value
}

// asMisuse makes an error that says so a misuse.
func asMisuse(err error) error {
	if _, ok := errors.AsType[*loadtest.UsageError](err); ok {
		return misuse.Of(err)
	}
	return err
}

// loadtestEnvironment is where the load test runs: its children are this program again.
func loadtestEnvironment(cmd *cobra.Command, s *settings) (env loadtest.Environment, err error) {
	program, err := os.Executable()
	if err != nil {
		return env, fmt.Errorf("find this program, to start it again: %w", err)
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

// runLoadtest runs it and writes the report everywhere it is wanted. The page's file is made
// before, because a run is a pity to lose.
func runLoadtest(ctx context.Context, opts loadtest.Options, env loadtest.Environment, out io.Writer, asJSON bool, htmlFile string) (err error) {
	var page *os.File
	if htmlFile != "" {
		if page, err = os.Create(htmlFile); err != nil {
			return misuse.Errorf("--html: %w; name a file that can be written", err)
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
		return errors.New("load test failed: " + strings.Join(report.Findings, "; ") + "; see the report, or relax it with --tolerate, --max-stall or --max-p99")
	}
	return nil
}
