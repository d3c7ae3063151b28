package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
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
				return usage.Of(err)
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
	flags.Add(cmd.Flags(), operator.PasswordHint)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&htmlFile, "html", "", "also write the report as an HTML page to `FILE`")
	cred.Add(cmd.Flags())
	cmd.AddCommand(newLoadtestChild())
	return cmd
}

// asMisuse marks a usage error of the load test as a misuse.
func asMisuse(err error) error {
	if _, ok := errors.AsType[*loadtest.UsageError](err); ok {
		return usage.Of(err)
	}
	return err
}

// runLoadtest runs the load test and writes the report. It creates the page's file first, so that no run is lost
// because the file can't be written.
func runLoadtest(ctx context.Context, opts loadtest.Options, env loadtest.Environment, out io.Writer, asJSON bool, htmlFile string) (err error) {
	var page *os.File
	if htmlFile != "" {
		if page, err = os.Create(htmlFile); err != nil {
			return usage.Errorf("--html: %w; name a file that this user can write", err)
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
