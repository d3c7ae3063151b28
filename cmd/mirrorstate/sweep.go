package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

func newSweep(s *settings) *cobra.Command {
	var (
		target target
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Delete the sessions that have expired, now",
		Long: "Deletes expired sessions in small batches, through a running server's operators' listener, or directly with\n" +
			"--connection-string, as for cron. A server does so by itself once a minute (sweep.interval); both at once do no harm.",
		Example: "  mirrorstate sweep\n  MIRRORSTATE_PAIR_PASSWORD_FILE=web.password mirrorstate sweep --connection-string \"data source=SQL1;failover partner=SQL2;user id=web\"",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := sweepNow(cmd.Context(), s, &target, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return printSweep(cmd.OutOrStdout(), st, asJSON)
		},
	}
	target.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// sweepNow sweeps, and says on progress how far it is.
func sweepNow(ctx context.Context, s *settings, t *target, progress io.Writer) (aspstate.SweepStatus, error) {
	if t.direct() {
		st, err := openDirect(ctx, s, t.pairFlags)
		if err != nil {
			return aspstate.SweepStatus{}, err
		}
		defer st.Close()
		return watched(ctx, st.Sweeper(), progress)
	}
	c, err := t.client(s)
	if err != nil {
		return aspstate.SweepStatus{}, err
	}
	defer c.Close()
	st, err := pairOf(c.Sweep(ctx))
	look := time.NewTicker(sweepLook)
	defer look.Stop()
	for err == nil && st.Sweep.Running {
		fmt.Fprintf(progress, "%d deleted so far\n", st.Sweep.Deleted)
		select {
		case <-ctx.Done():
			return st.Sweep, context.Cause(ctx)
		case <-look.C:
		}
		st, err = pairOf(c.Pair(ctx))
	}
	if err == nil && st.Sweep.LastError != "" {
		err = fmt.Errorf("the sweep ended early, after %d: %s", st.Sweep.Deleted, st.Sweep.LastError)
	}
	return st.Sweep, err
}

// printSweep prints what was swept, for people or for machines.
func printSweep(out io.Writer, st aspstate.SweepStatus, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(st)
	}
	if st.Deleted == 0 && st.OldestExpiredS == 0 && st.Method != aspstate.SweepProcedure {
		_, err := fmt.Fprintln(out, "no session has expired")
		return err
	}
	if st.Method == aspstate.SweepProcedure { // which does not tell
		_, err := fmt.Fprintf(out, "swept by %s in %.1f s\n", st.Method, st.DurationS)
		return err
	}
	_, err := fmt.Fprintf(out, "swept %d expired sessions in %.1f s (batches: %d, by %s); the oldest had expired %s before; abandoned locks: %d\n",
		st.Deleted, st.DurationS, st.Batches, st.Method, time.Duration(st.OldestExpiredS*float64(time.Second)).Round(time.Second), st.AbandonedLocks)
	return err
}

// sweepLook is how often a sweep that takes long is looked at.
const sweepLook = time.Second

// watched sweeps in this process.
func watched(ctx context.Context, sweeper *aspstate.Sweeper, progress io.Writer) (st aspstate.SweepStatus, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		st, err = sweeper.Sweep(ctx)
	}()
	look := time.NewTicker(sweepLook)
	defer look.Stop()
	for {
		select {
		case <-done:
			return st, err
		case <-look.C:
			fmt.Fprintf(progress, "%d deleted so far\n", sweeper.Status().Deleted)
		}
	}
}
