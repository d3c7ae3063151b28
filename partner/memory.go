package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// memoryVersion is the version of the file format. Fields may be added, but keep their meaning.
const memoryVersion = 1

// memoryRetry is the pause after a failed write before the next one.
const memoryRetry = time.Second

// record is the content of the memory file, as JSON:
//
//	{"version":1,"database":"ASPState","partner":"b","address":"sql2:1433","server":"SQL2",
//	 "extended":true,"epoch":4,"role_sequence":7,"session":"5C4…","overruled":{…},"forced":"2026-01-02T03:04:05Z"}
type record struct {
	Version   int              `json:"version"`
	Database  string           `json:"database"`
	Partner   choose.Name      `json:"partner"`
	Address   string           `json:"address"`
	Server    string           `json:"server"`
	Extended  bool             `json:"extended"`
	Epoch     int64            `json:"epoch"`
	Sequence  int64            `json:"role_sequence"`
	Session   string           `json:"session"`
	Overruled choose.Overruled `json:"overruled,omitzero"`
	Forced    time.Time        `json:"forced,omitzero"` // when the watchdog last forced service
}

// accepted returns the accepted principal of the record.
func (r record) accepted() choose.Accepted {
	return choose.Accepted{Partner: r.Partner, Extended: r.Extended, Epoch: r.Epoch, Sequence: r.Sequence,
		Session: r.Session, Overruled: r.Overruled}
}

// memory keeps a record, and writes it to the memory file some milliseconds after a change. So no call waits for
// a write, and a disk that hangs delays no failover. If path is empty, there is no file. Safe for concurrent use.
type memory struct {
	path     string
	log      *slog.Logger
	dirty    chan struct{}
	failures atomic.Uint64
	failing  bool // guarded by writing; the last write failed

	mu      sync.Mutex
	current record // guarded by mu

	writing sync.Mutex
	written record // guarded by writing
}

// openMemory returns the memory of cfg, with the record of the file if it exists.
func openMemory(cfg *Config) (*memory, error) {
	m := &memory{path: cfg.Memory, log: cfg.Logger, dirty: make(chan struct{}, 1)}
	m.current = record{Version: memoryVersion, Database: cfg.Database}
	if m.path == "" {
		return m, nil
	}
	text, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(m.path)); err != nil {
			return nil, fmt.Errorf("memory %s: folder of the file: %w", m.path, err)
		}
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("memory %s: %w", m.path, err)
	}
	r, err := parseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("memory %s is damaged (%w): make sure which partner is the principal, then delete the file", m.path, err)
	}
	if !strings.EqualFold(r.Database, cfg.Database) {
		return nil, fmt.Errorf("memory %s belongs to the database %q, not %q: give every pair a file of its own", m.path, r.Database, cfg.Database)
	}
	m.written = r
	m.current = r.rename(cfg)
	return m, nil
}

// parseRecord parses and checks a record.
func parseRecord(text []byte) (record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&r); err != nil {
		return record{}, err
	}
	switch {
	case d.More():
		return record{}, errors.New("data after the record")
	case r.Version != memoryVersion:
		return record{}, fmt.Errorf("version %d, want %d", r.Version, memoryVersion)
	case r.Partner != choose.A && r.Partner != choose.B && r.Partner != "":
		return record{}, fmt.Errorf("partner %q", r.Partner)
	case r.Overruled.Partner != "" && r.Overruled.Partner == r.Partner:
		return record{}, fmt.Errorf("partner %s is both accepted and overruled", r.Partner)
	case r.Epoch < 0 || r.Sequence < 0 || r.Database == "":
		return record{}, errors.New("impossible values")
	}
	return r, nil
}

// rename returns the record with the names that the partners have in cfg. The two may have changed places in the
// configuration since the record was written; they are recognized by their addresses.
func (r record) rename(cfg *Config) record {
	i := 0
	if r.Partner == choose.B {
		i = 1
	}
	own, other := cfg.Partners[i], cfg.Partners[1-i]
	if r.Partner == "" || r.Address == "" || r.Address == own.Address || r.Address != other.Address {
		return r
	}
	r.Partner = other.Name
	if r.Overruled.Partner != "" {
		r.Overruled.Partner = own.Name
	}
	return r
}

// update changes the record. The file is written later.
func (m *memory) update(change func(*record)) {
	m.mu.Lock()
	change(&m.current)
	m.mu.Unlock()
	select {
	case m.dirty <- struct{}{}:
	default:
	}
}

// read returns the record.
func (m *memory) read() record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

// writeLoop writes changes to the file until ctx ends. It repeats a failed write.
func (m *memory) writeLoop(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.dirty:
		case <-retry.C:
		}
		if m.flush() != nil {
			retry.Reset(memoryRetry)
		}
	}
}

// flush writes the record, unless the file already has it.
func (m *memory) flush() error {
	if m.path == "" {
		return nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	r := m.read()
	if r == m.written || r.Partner == "" && r.Forced.IsZero() {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = secretfile.Write(m.path, append(text, '\n'))
	}
	if err != nil {
		m.failures.Add(1)
		if !m.failing {
			m.log.Error("the accepted principal could not be written to the memory file", "file", m.path, "error", err)
		}
		m.failing = true
		return err
	}
	if m.failing {
		m.log.Info("the accepted principal is written to the memory file again", "file", m.path)
	}
	m.failing = false
	m.written = r
	return nil
}
