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

// How long the fleet's secret is used before it is read again. It can change while a process runs: the extension can be
// uninstalled and installed again, and a forced failover can lose a secret that was just made.
const (
	secretFresh = 10 * time.Second // after this time it is read again in the background
	secretStale = time.Minute      // after this time without calls, the next call waits until it has been read again
)

// lastSeen is the schema that the newest attempt saw: 0 before the first attempt, stockSeen for the stock schema, and
// otherwise the epoch, which is never 0.
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

// secretKeeper keeps the result of the last reading of the fleet's secret.
type secretKeeper struct {
	held atomic.Pointer[heldSecret]

	mu      sync.Mutex
	reading bool // in the background
	closed  bool
	readers sync.WaitGroup
}

// heldSecret is the result of one reading. It never changes.
type heldSecret struct {
	value []byte // nil: the stock schema, which has no place for a secret
	seen  int64  // the schema that was read, as in lastSeen
	at    time.Time
}

// FleetSecret returns the secret that all proxies of the fleet share: 32 random bytes, which the first proxy stored in
// the database. On a stock schema, which has no place for it, it is nil.
//
// FleetSecret answers from memory, except at the first call, at the first call after a minute without calls, and after
// the extension was installed or removed. During calls the secret is read again in the background every ten seconds and
// after every failover, so that a process notices a change.
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
	// HoldsLock: a caller that needs the secret may hold a session's lock.
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

// beside runs read in the background, unless a read is running already or the store is closed.
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

// close waits for the reading in progress, and prevents new ones.
func (k *secretKeeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.readers.Wait()
}
