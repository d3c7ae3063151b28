package keyring

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/mirrorstate/mirrorstate/proxy/filewatch"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// Options are the options of Open.
type Options struct {
	// Path is the file with the keys. Required.
	Path string
	// Resolve returns the lower-cased name of an application for its alias or name. Required.
	Resolve func(app string) (name string, err error)
	// Rate is how many requests a second each entry may send, Burst how many at
	// once. Zero Rate: unlimited.
	Rate  float64
	Burst int
	// Logger logs changes of the keys. Default: changes are not logged.
	Logger *slog.Logger
}

// Keys holds the current keys of a file. Any number of goroutines may use it.
type Keys struct {
	opts Options // Resolve is owned by reading
	ring atomic.Pointer[Ring]

	operators atomic.Bool // some ring had an entry with a right to the operators' listener

	reading           sync.Mutex // held while the file is read, so that older content does not replace newer
	entries           []Entry    // owned by reading
	reloads, failures atomic.Uint64
}

// Stats count the entries, and the changes of the file.
type Stats struct {
	Entries  int
	Reloads  uint64 // changes that were applied
	Failures uint64 // changes that could not be applied; the previous keys stayed in use
}

// Open reads the file, which must exist.
func Open(o Options) (*Keys, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keys{opts: o}
	entries, err := ReadFile(o.Path)
	if err != nil {
		return nil, err
	}
	return k, k.apply(entries)
}

// Ring returns the current keys.
func (k *Keys) Ring() *Ring { return k.ring.Load() }

// Operators reports whether an entry has a right to the operators' listener, or had one since Open. After
// the last such entry is revoked, the listener must still require a key: it must not become open to everybody.
func (k *Keys) Operators() bool { return k.operators.Load() }

// Stats returns the counters.
func (k *Keys) Stats() Stats {
	return Stats{Entries: k.Ring().Len(), Reloads: k.reloads.Load(), Failures: k.failures.Load()}
}

func (k *Keys) apply(entries []Entry) error {
	ring, err := NewRing(entries, k.opts.Resolve)
	if err != nil {
		return fmt.Errorf("%s: %w", k.opts.Path, err)
	}
	ring.setBuckets(k.ring.Load(), rate.Limit(k.opts.Rate), k.opts.Burst)
	if ring.Operators() {
		k.operators.Store(true)
	}
	k.ring.Store(ring)
	k.entries = entries
	return nil
}

// Reload reads the file again. If the file can't be read, the previous keys stay in use and the error
// says why. Changes are logged, with the ids of the entries.
func (k *Keys) Reload() error {
	k.reading.Lock()
	defer k.reading.Unlock()
	entries, err := ReadFile(k.opts.Path)
	if err != nil {
		k.failures.Add(1)
		return err
	}
	return k.applyChange(entries)
}

// Rename replaces Options.Resolve by resolve and reads the file again. If the file can't be read, that is logged and
// resolve is applied to the previous entries. If Rename returns an error, nothing has changed.
func (k *Keys) Rename(resolve func(app string) (name string, err error)) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	entries, err := ReadFile(k.opts.Path)
	if err != nil {
		k.failures.Add(1)
		k.logUnread(err)
		entries = k.entries
	}
	before := k.opts.Resolve
	k.opts.Resolve = resolve
	if err := k.applyChange(entries); err != nil {
		k.opts.Resolve = before
		return err
	}
	return nil
}

// applyChange applies entries that were read again, and logs what changed.
func (k *Keys) applyChange(entries []Entry) error {
	before := k.entries
	if err := k.apply(entries); err != nil {
		k.failures.Add(1)
		return err
	}
	if added, gone, changed := difference(before, entries); added+gone+changed != "" {
		k.reloads.Add(1)
		if e := secretfile.Check(k.opts.Path); e != nil {
			k.opts.Logger.Warn("others can read the keys file", "note", e.Error())
		}
		k.opts.Logger.Info("keys changed", "file", k.opts.Path, "added", added, "revoked", gone, "changed", changed)
	}
	return nil
}

func (k *Keys) logUnread(err error) {
	k.opts.Logger.Error("changed keys not applied; the previous keys stay in use", "error", err)
}

// Run reads the file again whenever it changes, until ctx ends. After an error it retries.
func (k *Keys) Run(ctx context.Context) error {
	return filewatch.Run(ctx, k.Reload, k.logUnread, k.opts.Path)
}

// difference returns the ids of the entries that were added, removed or changed.
func difference(before, now []Entry) (added, gone, changed string) {
	was, is := byID(before), byID(now)
	var lists [3][]string
	for _, id := range slices.Sorted(maps.Keys(is)) {
		if old, ok := was[id]; !ok {
			lists[0] = append(lists[0], id)
		} else if !same(old, is[id]) {
			lists[2] = append(lists[2], id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[id]; !ok {
			lists[1] = append(lists[1], id)
		}
	}
	return strings.Join(lists[0], ","), strings.Join(lists[1], ","), strings.Join(lists[2], ",")
}

func byID(entries []Entry) map[string]Entry {
	m := make(map[string]Entry, len(entries))
	for _, e := range entries {
		m[e.ID] = e
	}
	return m
}

func same(a, b Entry) bool {
	return a.Name == b.Name && a.SHA256 == b.SHA256 && a.Certificate == b.Certificate && slices.Equal(a.Apps, b.Apps) &&
		slices.Equal(a.Rights, b.Rights) && a.Expires.Equal(b.Expires)
}
