package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/doctor"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/partner"
)

// doctorCommand holds the flags of mirrorstate doctor.
type doctorCommand struct {
	pair             operator.PairFlags
	asJSON, strict   bool
	client, balancer time.Duration
}

func newDoctor(s *settings) *cobra.Command {
	c := &doctorCommand{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check a pair end to end, and list what to fix, in order",
		Long: "Checks both servers and changes nothing on them: reachability, TLS, versions, logins and SIDs, rights, the schema, recovery model,\n" +
			"mirroring or the availability group, witness, clocks, jobs, log, backups, and the timeouts around them. A fact that the login may\n" +
			"not see is reported as unknown. Exit code 0: no check fails; 1: a check fails (with --strict: or warns).",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=web.password mirrorstate doctor --connection-string \"data source=SQL1;failover partner=SQL2;user id=web\"\n" +
			"  mirrorstate doctor --config mirrorstate.yaml --client-timeout 60s --balancer-timeout 60s\n  mirrorstate doctor --web-config /srv/shop/web.config --json",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd, s) },
	}
	c.pair.Add(cmd.Flags(), "the pair")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&c.strict, "strict", false, "exit with 1 for warnings, too")
	cmd.Flags().DurationVar(&c.client, "client-timeout", 0, "how long your applications wait for an answer; compared with the hold window")
	cmd.Flags().DurationVar(&c.balancer, "balancer-timeout", 0, "how long the balancer in front of mirrorstate waits for an answer")
	return cmd
}

func (c *doctorCommand) run(cmd *cobra.Command, s *settings) error {
	if c.client < 0 || c.balancer < 0 {
		return usage.Errorf("--client-timeout and --balancer-timeout must not be negative")
	}
	cfg, err := s.load(c.pair.Settings()...)
	if err != nil {
		return err
	}
	both, configured := cfg.Partners()
	if !configured {
		return usage.NoPair()
	}
	pc, err := server.PairConfig(cfg, nil, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	setup, err := doctor.NewSetup(cfg, both, c.pair.Words(s.configFile))
	if err != nil {
		return err
	}
	setup.ClientTimeout, setup.BalancerTimeout = c.client, c.balancer
	report := doctor.Diagnose(doctor.Examine(cmd.Context(), [2]partner.PartnerConfig(pc.Partners), both.Database, setup))
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("stopped before all checks were done: %w", err)
	}
	printed := report.Print
	if c.asJSON {
		printed = report.PrintJSON
	}
	return errors.Join(printed(cmd.OutOrStdout()), c.verdict(report))
}

// verdict returns the error that sets the exit code.
func (c *doctorCommand) verdict(r *doctor.Report) error {
	fails, warns := r.Count(doctor.Fail), r.Count(doctor.Warn)
	switch {
	case fails > 0:
		return fmt.Errorf("%d to fix; the first: %s", fails, r.Findings[0].Found)
	case c.strict && warns > 0:
		return fmt.Errorf("%d warnings (--strict); the first: %s", warns, r.Findings[0].Found)
	}
	return nil
}
