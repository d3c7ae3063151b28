package aspstate

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
)

// How long the fleet's secret is believed. It is one for as long as the database is, but a
// database can be uninstalled and installed again under a process that serves, and a forced
// failover can lose a secret that was just made.
const (
	secretFresh = 10 * time.Second // then it is read again, beside the calls
	secretStale = time.Minute      // then no call takes it before it is read again: nobody called meanwhile
)

// lastSeen is what the newest attempt was told of the schema: 0 before the first one, stockSeen on the
// stock schema, and else the epoch, which is never 0.
type lastSeen struct{ atomic.Int64 }

const stockSeen = -1

func (l *lastSeen) note(a *partner.Attempt) {
	if now := seenBy(a); l.Load() != now {
		l.Store(now)
	}
}

func seenBy(a *partner.Attempt) int64 {
	if !a.Extended {
		return stockSeen
	}
	return a.Epoch
}

// secretKeeper keeps the fleet's secret as it was read last.
type secretKeeper struct {
	held atomic.Pointer[heldSecret]

	mu      sync.Mutex
	reading bool // beside the calls
	closed  bool
	readers sync.WaitGroup
}

// heldSecret is what one reading told. It never changes.
type heldSecret struct {
	value []byte // nil: the schema is stock, and has no place for one
	seen  int64  // as lastSeen has it
	at    time.Time
}

// FleetSecret is the secret that all proxies of the fleet have in common, 32 random bytes which the
// first one that asked left in the database. On a stock schema, which has no place for it, it is nil.
//
// It answers from memory, except for the first call, the first one after a minute without any, and
// after the database got or lost the extension. What it remembers is checked every ten
// seconds and after every failover, beside the calls: a process notices by then that the database was installed anew.
func (s *Store) FleetSecret(ctx context.Context) ([]byte, error) {
	held, seen := s.secret.held.Load(), s.apps.seen.Load()
	if held == nil || seen != 0 && (held.seen == stockSeen) != (seen == stockSeen) {
		return s.readSecret(ctx)
	}
	switch age := time.Since(held.at); {
	case age > secretStale:
		return s.readSecret(ctx)
	case age > secretFresh, seen != 0 && held.seen != seen:
		s.secret.beside(func() {
			ctx, cancel := context.WithTimeout(s.closing, cleanupTime)
			defer cancel()
			if _, err := s.readSecret(ctx); err != nil && s.closing.Err() == nil {
				s.logger.Debug("the fleet's secret was not read again", "error", err)
			}
		})
	}
	return held.value, nil
}

// readSecret asks the principal. Several callers may ask at once; the database has them all get the same secret.
func (s *Store) readSecret(ctx context.Context) ([]byte, error) {
	// A caller may want it to store under its lock.
	read, err := do(ctx, s.pair, partner.Call{Label: "fleet secret", HoldsLock: true}, func(ctx context.Context, a *partner.Attempt) (*heldSecret, error) {
		read := &heldSecret{seen: seenBy(a)}
		if !a.Extended {
			return read, nil
		}
		proposal := make([]byte, 32)
		rand.Read(proposal) // never fails; see crypto/rand
		var err error
		read.value, err = fleetSecret(ctx, a, proposal)
		if err == nil && len(read.value) == 0 { // "none" would have handles made with the public key
			err = fmt.Errorf("the database of %s answers no fleet's secret", a.Partner)
		}
		return read, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the fleet's secret: %w", err)
	}
	read.at = time.Now()
	s.secret.held.Store(read)
	return read.value, nil
}

// beside runs read in the background, unless it runs already or the store is closed.
func (k *secretKeeper) beside(read func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reading || k.closed {
		return
	}
	k.reading = true
	k.readers.Go(func() {
		defer func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.reading = false
		}()
		read()
	})
}

// close waits for what was begun; nothing is begun after.
func (k *secretKeeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.readers.Wait()
}
