package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Sweep sweeps, and says on progress how far it is.
func Sweep(ctx context.Context, load Load, t *Target, progress io.Writer) (aspstate.SweepStatus, error) {
	if t.Direct() {
		st, err := openDirect(ctx, load, t.PairFlags)
		if err != nil {
			return aspstate.SweepStatus{}, err
		}
		defer st.Close()
		return sweepInProcess(ctx, st.Sweeper(), progress)
	}
	c, err := t.client(load)
	if err != nil {
		return aspstate.SweepStatus{}, err
	}
	defer c.Close()
	st, err := pairOf(c.Sweep(ctx))
	ticker := time.NewTicker(sweepPoll)
	defer ticker.Stop()
	for err == nil && st.Sweep.Running {
		fmt.Fprintf(progress, "%d deleted so far\n", st.Sweep.Deleted)
		select {
		case <-ctx.Done():
			return st.Sweep, context.Cause(ctx)
		case <-ticker.C:
		}
		st, err = pairOf(c.Pair(ctx))
	}
	if err == nil && st.Sweep.LastError != "" {
		err = fmt.Errorf("the sweep ended early, after %d: %s", st.Sweep.Deleted, st.Sweep.LastError)
	}
	return st.Sweep, err
}

// PrintSweep prints what was swept, for people or for machines.
func PrintSweep(out io.Writer, st aspstate.SweepStatus, asJSON bool) error {
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

// sweepPoll is how often a sweep that takes long is looked at.
const sweepPoll = time.Second

// watched sweeps in this process.
func sweepInProcess(ctx context.Context, sweeper *aspstate.Sweeper, progress io.Writer) (st aspstate.SweepStatus, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		st, err = sweeper.Sweep(ctx)
	}()
	ticker := time.NewTicker(sweepPoll)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return st, err
		case <-ticker.C:
			fmt.Fprintf(progress, "%d deleted so far\n", sweeper.Status().Deleted)
		}
	}
}
