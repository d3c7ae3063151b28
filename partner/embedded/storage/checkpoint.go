package storage

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
func (s *Store) countRows(rows int) {
	if s.unmoved += rows; s.unmoved >= checkpointEvery {
		s.unmoved = 0
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// TendJournal moves the log whenever it has become long, until ctx ends. one is held
// while it does: two partners at once would leave no processor to their clients. A
// failure (a full disk) is told, and what could not be moved stays for the next time.
func (s *Store) CheckpointLoop(ctx context.Context, one *sync.Mutex, log *slog.Logger) error {
	c, err := OpenConn(s.Path)
	if err != nil {
		return err
	}
	var said LastError
	for {
		select {
		case <-ctx.Done():
			return c.Close()
		case <-s.full:
		}
		one.Lock()
		err := s.moveJournal(c)
		one.Unlock()
		if said.IsNew(err) {
			log.Warn("write-ahead log not moved", "file", s.Path, "error", err)
		}
	}
}

func (s *Store) moveJournal(c *Conn) error {
	// Beside the writer: this disturbs nobody.
	if err := c.Script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	info, err := os.Stat(s.Path + "-wal")
	if err != nil || info.Size() < journalLimit {
		return nil // without a log there is nothing to shorten
	}
	if err := c.Script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	// Little is left to move. A reader of an old state may be in the way: then another time.
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return c.Script("PRAGMA busy_timeout = 20; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 10000")
}

// Said is the last error that was told of something that is tried again and again.
type LastError struct{ text string }

// News notes how a try ended, nil if well, and reports whether that is to be told: another error than that of the try before.
func (s *LastError) IsNew(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	was := s.text
	s.text = text
	return text != "" && text != was
}
