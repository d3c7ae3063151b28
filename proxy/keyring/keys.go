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

// Options say where keys are, and how they are read.
type Options struct {
	// Path is the file. Required.
	Path string
	// Resolve gives an application's lower-cased name for an alias or a name. Required.
	Resolve func(app string) (name string, err error)
	// Rate is how many requests a second each entry is good for, Burst how many at
	// once. Zero Rate: no bound.
	Rate  float64
	Burst int
	// Logger is told what changed. Default: nobody is.
	Logger *slog.Logger
}

// Keys is the file as it is now. Any number of goroutines may use it.
type Keys struct {
	opts Options // Resolve is owned by reading
	ring atomic.Pointer[Ring]

	operators atomic.Bool // a ring had an entry for the operators' listener

	reading           sync.Mutex // held while the file is read, so that an older reading does not win
	entries           []Entry    // owned by reading
	reloads, failures atomic.Uint64
}

// Stats count what became of changes of the file.
type Stats struct {
	Entries  int
	Reloads  uint64 // changes that were read
	Failures uint64 // readings that failed; the keys before stayed
}

// Open reads the file, which must be there.
func Open(o Options) (*Keys, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keys{opts: o}
	entries, err := ReadFile(o.Path)
	if err != nil {
		return nil, err
	}
	return k, k.take(entries)
}

// Ring is the keys as they are now.
func (k *Keys) Ring() *Ring { return k.ring.Load() }

// Operators says whether an entry opens the operators' listener, or has done so since the file was
// opened: whoever revokes the last one does not mean to let everybody in.
func (k *Keys) Operators() bool { return k.operators.Load() }

// Stats reads the counters.
func (k *Keys) Stats() Stats {
	return Stats{Entries: k.Ring().Len(), Reloads: k.reloads.Load(), Failures: k.failures.Load()}
}

func (k *Keys) take(entries []Entry) error {
	ring, err := NewRing(entries, k.opts.Resolve)
	if err != nil {
		return fmt.Errorf("%s: %w", k.opts.Path, err)
	}
	ring.keep(k.ring.Load(), rate.Limit(k.opts.Rate), k.opts.Burst)
	if ring.Operators() {
		k.operators.Store(true)
	}
	k.ring.Store(ring)
	k.entries = entries
	return nil
}

// Reload reads the file again. A file that can't be read changes nothing; the error
// says why. What changed is logged, by ids.
func (k *Keys) Reload() error {
	k.reading.Lock()
	defer k.reading.Unlock()
	entries, err := ReadFile(k.opts.Path)
	if err != nil {
		k.failures.Add(1)
		return err
	}
	return k.takeRead(entries)
}

// Rename reads the file again and has resolve find applications, now and from then on. A file that can't be
// read is logged, and the entries before are resolved anew. With an error nothing has changed.
func (k *Keys) Rename(resolve func(app string) (name string, err error)) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	entries, err := ReadFile(k.opts.Path)
	if err != nil {
		k.failures.Add(1)
		k.unread(err)
		entries = k.entries
	}
	before := k.opts.Resolve
	k.opts.Resolve = resolve
	if err := k.takeRead(entries); err != nil {
		k.opts.Resolve = before
		return err
	}
	return nil
}

// takeRead takes entries that were read again, and logs what changed.
func (k *Keys) takeRead(entries []Entry) error {
	before := k.entries
	if err := k.take(entries); err != nil {
		k.failures.Add(1)
		return err
	}
	if added, gone, changed := difference(before, entries); added+gone+changed != "" {
		k.reloads.Add(1)
		if e := secretfile.Check(k.opts.Path); e != nil {
			k.opts.Logger.Warn("the keys are exposed", "note", e.Error())
		}
		k.opts.Logger.Info("keys read again", "file", k.opts.Path, "added", added, "revoked", gone, "changed", changed)
	}
	return nil
}

func (k *Keys) unread(err error) {
	k.opts.Logger.Error("the keys could not be read again; those before stay", "error", err)
}

// Run reads the file again whenever it has changed, and while it can't be read, until ctx ends.
func (k *Keys) Run(ctx context.Context) error {
	return filewatch.Run(ctx, k.Reload, k.unread, k.opts.Path)
}

// difference names the entries that came, went or are others, by their ids.
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
