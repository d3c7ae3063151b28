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

// How long the fleet's secret is used without reading it again. It lasts as long as the database, but a database can
// be uninstalled and installed again while a process serves, and a forced failover can lose a secret that was just
// made.
const (
	secretFresh = 10 * time.Second // then it is read again in the background
	secretStale = time.Minute      // then calls wait until it has been read again: there were no calls meanwhile
)

// lastSeen is what the newest attempt saw of the schema: 0 before the first attempt, stockSeen on the stock schema,
// and otherwise the epoch, which is never 0.
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

// secretKeeper keeps the fleet's secret as it was last read.
type secretKeeper struct {
	held atomic.Pointer[heldSecret]

	mu      sync.Mutex
	reading bool // in the background
	closed  bool
	readers sync.WaitGroup
}

// heldSecret is the result of one reading. It never changes.
type heldSecret struct {
	value []byte // nil: the schema is stock and has no place for a secret
	seen  int64  // the lastSeen of the reading
	at    time.Time
}

// FleetSecret returns the secret of all proxies of the fleet, 32 random bytes that the first one left in the
// database. On a stock schema, which has no place for it, it is nil.
//
// It answers from memory, except for the first call, the first call after a minute without calls, and after the
// database has got or lost the extension. The secret is checked in the background every ten seconds and after every
// failover: so a process notices when the database was installed anew.
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
				s.logger.Debug("could not read the fleet's secret again", "error", err)
			}
		})
	}
	return held.value, nil
}

// readSecret asks the principal. Several callers may ask at once; the database returns the same secret to all.
func (s *Store) readSecret(ctx context.Context) ([]byte, error) {
	// A caller may need it to store under its lock.
	read, err := do(ctx, s.pair, partner.Call{Label: "fleet secret", HoldsLock: true}, func(ctx context.Context, a *partner.Attempt) (*heldSecret, error) {
		read := &heldSecret{seen: seenBy(a)}
		if !a.Extended {
			return read, nil
		}
		proposal := make([]byte, 32)
		rand.Read(proposal) // never fails; see crypto/rand
		var err error
		read.value, err = fleetSecret(ctx, a, proposal)
		if err == nil && len(read.value) == 0 { // without a secret, handles would be made with the public key
			err = fmt.Errorf("the database of %s returned no fleet secret", a.Partner)
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

// beside runs read in the background, unless it is running already or the store is closed.
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

// close waits for the reading in progress; none begins after it.
func (k *secretKeeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.readers.Wait()
}
