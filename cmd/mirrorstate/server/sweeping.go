package server

import (
	"context"
	"sync"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// sweepConfig returns the settings of the expiry job.
func sweepConfig(cfg config.Sweep) aspstate.SweepConfig {
	return aspstate.SweepConfig{Interval: cfg.Interval, AbandonedLockAfter: cfg.AbandonedLockAfter, MaxClockSkew: cfg.MaxClockSkew, AgentJob: cfg.AgentJob}
}

// sweeping is the expiry job, and the sweeps that operators ask for.
type sweeping struct {
	sweeper *aspstate.Sweeper

	ctx     context.Context // of the sweeps that operators ask for: they continue when the request has ended
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newSweeping(s *aspstate.Sweeper) *sweeping {
	sw := &sweeping{sweeper: s}
	sw.ctx, sw.cancel = context.WithCancel(context.Background())
	return sw
}

// now runs one sweep and returns when it is done. If ctx ends first, now returns nil and the sweep continues.
func (s *sweeping) now(ctx context.Context) error {
	done := make(chan error, 1)
	s.running.Go(func() {
		_, err := s.sweeper.Sweep(s.ctx)
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return nil
	}
}

// close stops the sweeps that operators asked for, and waits for them.
func (s *sweeping) close() {
	s.cancel()
	s.running.Wait()
}
