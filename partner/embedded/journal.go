package embedded

import (
	"context"
	"log/slog"
	"os"
	"sync"
)

// SQLite's write-ahead log is moved into the database by a goroutine of its own:
// done by a writer, as SQLite would, it costs that writer two flushes of the disk.
const (
	// checkpointEvery is after how many written rows the log is moved.
	checkpointEvery = 2000
	// journalLimit is how long, in bytes, the log may become under steady load: only between
	// two writes can it start from the beginning, and if none lets it, it is made to.
	journalLimit = 64 << 20
	// journalBackstop is the length in pages at which a writer moves the log after all.
	journalBackstop = 40_000
)

// wrote counts written rows, and wakes the goroutine below.
func (s *store) wrote(rows int) {
	if s.unmoved += rows; s.unmoved >= checkpointEvery {
		s.unmoved = 0
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// tendJournal moves the log whenever it has become long, until ctx ends. one is held
// while it does: two partners at once would leave no processor to their clients. A
// failure (a full disk) is told, and what could not be moved stays for the next time.
func (s *store) tendJournal(ctx context.Context, one *sync.Mutex, log *slog.Logger) error {
	c, err := openConn(s.path)
	if err != nil {
		return err
	}
	var said said
	for {
		select {
		case <-ctx.Done():
			return c.close()
		case <-s.full:
		}
		one.Lock()
		err := s.moveJournal(c)
		one.Unlock()
		if said.news(err) {
			log.Warn("write-ahead log not moved", "file", s.path, "error", err)
		}
	}
}

func (s *store) moveJournal(c *conn) error {
	// Beside the writer: this disturbs nobody.
	if err := c.script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	info, err := os.Stat(s.path + "-wal")
	if err != nil || info.Size() < journalLimit {
		return nil // without a log there is nothing to shorten
	}
	if err := c.script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	// Little is left to move. A reader of an old state may be in the way: then another time.
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.script("PRAGMA busy_timeout = 20; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 10000")
}

// journals tends the journals of databases while Run runs.
type journals struct {
	mu      sync.Mutex
	ctx     context.Context // nil before Run, and after
	running sync.WaitGroup
	one     sync.Mutex // held by the one that moves
}

// tendFiles has the database's journal moved from now on; before Run it does nothing, which
// does it for every database there is.
func (p *pair) tendFiles(d *database) {
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
		if err := d.store.tendJournal(ctx, &p.journals.one, d.instance.log); err != nil {
			d.instance.log.Warn("write-ahead log not tended", "file", d.store.path, "error", err)
		}
	})
}

// tendAllFiles begins for all databases; end stops and waits.
func (p *pair) tendAllFiles(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	p.journals.mu.Lock()
	p.journals.ctx = ctx
	p.journals.mu.Unlock()
	for _, q := range p.partners {
		for _, d := range q.all() {
			p.tendFiles(d)
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
