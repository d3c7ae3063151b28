package storage

import (
	"context"
	"log/slog"
	"os"
	"sync"
)

// A goroutine moves SQLite's write-ahead log into the database file (a checkpoint). If a writer did it, as SQLite does
// by default, that writer would wait for two flushes of the disk.
const (
	// checkpointEvery is the number of written rows after which a checkpoint runs.
	checkpointEvery = 2000
	// journalLimit is the limit of the log's length in bytes under steady load. The log can restart from its beginning
	// only between two writes. Above the limit the goroutine makes the writers wait until the log restarts.
	journalLimit = 64 << 20
	// journalBackstop is the length in pages at which a writer runs a checkpoint itself.
	journalBackstop = 40_000
)

// countRows counts written rows, and wakes the checkpoint goroutine.
func (s *Store) countRows(rows int) {
	if s.unmoved += rows; s.unmoved >= checkpointEvery {
		s.unmoved = 0
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// CheckpointLoop runs a checkpoint whenever the log has become long, until ctx ends. It holds the lock one during a
// checkpoint: two checkpoints at the same time would leave no processor for the clients. It logs a failure, such as a
// full disk, and continues at the next checkpoint.
func (s *Store) CheckpointLoop(ctx context.Context, one *sync.Mutex, log *slog.Logger) error {
	c, err := OpenConn(s.Path)
	if err != nil {
		return err
	}
	var last LastError
	for {
		select {
		case <-ctx.Done():
			return c.Close()
		case <-s.full:
		}
		one.Lock()
		err := s.moveJournal(c)
		one.Unlock()
		if last.IsNew(err) {
			log.Warn("checkpoint failed", "file", s.Path, "error", err)
		}
	}
}

func (s *Store) moveJournal(c *Conn) error {
	// This runs in parallel with the writer, and no writer waits.
	if err := c.Script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	info, err := os.Stat(s.Path + "-wal")
	if err != nil || info.Size() < journalLimit {
		return nil // without a log there is nothing to truncate
	}
	if err := c.Script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	// Few pages are left. A reader of an old state may prevent the truncation; the next checkpoint tries again.
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return c.Script("PRAGMA busy_timeout = 20; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 10000")
}

// LastError is the last logged error of an operation that is retried.
type LastError struct{ text string }

// IsNew stores the result of an attempt, nil for success, and reports whether to log it: the error differs from that of
// the previous attempt.
func (s *LastError) IsNew(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	was := s.text
	s.text = text
	return text != "" && text != was
}
