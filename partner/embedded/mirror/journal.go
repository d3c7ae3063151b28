package mirror

import (
	"context"
	"sync"
)

// journals tends the journals of databases while Run runs.
type journals struct {
	mu      sync.Mutex
	ctx     context.Context // nil before Run, and after
	running sync.WaitGroup
	one     sync.Mutex // held by the one that moves
}

// TendFiles has the database's journal moved from now on; before Run it does nothing, which
// does it for every database there is.
func (p *Pair) TendFiles(d *Database) {
	p.journals.mu.Lock()
	defer p.journals.mu.Unlock()
	if p.journals.ctx == nil {
		return
	}
	var ctx context.Context
	ctx, d.stopJournal = context.WithCancel(p.journals.ctx)
	d.journal = make(chan struct{})
	p.journals.running.Go(func() {
		defer close(d.journal)
		if err := d.Store.TendJournal(ctx, &p.journals.one, d.Instance.Log); err != nil {
			d.Instance.Log.Warn("write-ahead log not tended", "file", d.Store.Path, "error", err)
		}
	})
}

// tendAllFiles begins for all databases; end stops and waits.
func (p *Pair) tendAllFiles(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	p.journals.mu.Lock()
	p.journals.ctx = ctx
	p.journals.mu.Unlock()
	for _, q := range p.Partners {
		for _, d := range q.all() {
			p.TendFiles(d)
		}
	}
	return func() {
		p.journals.mu.Lock()
		p.journals.ctx = nil
		p.journals.mu.Unlock()
		stop()
		p.journals.running.Wait()
	}
}
