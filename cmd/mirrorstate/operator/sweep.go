package operator

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Sweep runs one sweep, and writes to progress how many sessions are deleted so far.
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
		err = fmt.Errorf("the sweep stopped after %d deleted sessions: %s", st.Sweep.Deleted, st.Sweep.LastError)
	}
	return st.Sweep, err
}

// PrintSweep prints the result of a sweep as text or as JSON.
func PrintSweep(out io.Writer, st aspstate.SweepStatus, asJSON bool) error {
	if asJSON {
		return printJSON(out, st)
	}
	if st.Deleted == 0 && st.OldestExpiredS == 0 && st.Method != aspstate.SweepProcedure {
		_, err := fmt.Fprintln(out, "no session has expired")
		return err
	}
	if st.Method == aspstate.SweepProcedure { // the procedure does not report how many it deleted
		_, err := fmt.Fprintf(out, "swept by %s in %.1f s\n", st.Method, st.DurationS)
		return err
	}
	_, err := fmt.Fprintf(out, "swept %d expired sessions in %.1f s (batches: %d, by %s); the oldest had expired %s before; abandoned locks: %d\n",
		st.Deleted, st.DurationS, st.Batches, st.Method, time.Duration(st.OldestExpiredS*float64(time.Second)).Round(time.Second), st.AbandonedLocks)
	return err
}

// sweepPoll is how often the progress of a sweep is read.
const sweepPoll = time.Second

// sweepInProcess runs one sweep in this process, and prints its progress.
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
