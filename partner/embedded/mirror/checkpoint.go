package mirror

import (
	"context"
	"sync"
)

// checkpointers runs the checkpoints of all databases while Run runs.
type checkpointers struct {
	mu      sync.Mutex
	ctx     context.Context // nil while the pair does not run
	running sync.WaitGroup
	one     sync.Mutex // held during a checkpoint
}

// StartCheckpoints starts the checkpoints of the database. Before Run it does nothing; Run
// starts them for every database.
func (p *Pair) StartCheckpoints(d *Database) {
	p.checkpointers.mu.Lock()
	defer p.checkpointers.mu.Unlock()
	if p.checkpointers.ctx == nil {
		return
	}
	var ctx context.Context
	ctx, d.stopJournal = context.WithCancel(p.checkpointers.ctx)
	d.journal = make(chan struct{})
	p.checkpointers.running.Go(func() {
		defer close(d.journal)
		if err := d.Store.CheckpointLoop(ctx, &p.checkpointers.one, d.Instance.Log); err != nil {
			d.Instance.Log.Warn("checkpoints not started", "file", d.Store.Path, "error", err)
		}
	})
}

// startAllCheckpoints starts the checkpoints of all databases. end stops the checkpoints and waits for their end.
func (p *Pair) startAllCheckpoints(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	p.checkpointers.mu.Lock()
	p.checkpointers.ctx = ctx
	p.checkpointers.mu.Unlock()
	for _, q := range p.Partners {
		for _, d := range q.all() {
			p.StartCheckpoints(d)
		}
	}
	return func() {
		p.checkpointers.mu.Lock()
		p.checkpointers.ctx = nil
		p.checkpointers.mu.Unlock()
		stop()
		p.checkpointers.running.Wait()
	}
}
