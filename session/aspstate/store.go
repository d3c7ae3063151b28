package aspstate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// Pair runs a call on whichever partner is principal; *partner.Pair does.
type Pair interface {
	Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error
}

// maxShort is the longest item the short column takes, in bytes. Source: facts,
// aspstate-schema §1.
const maxShort = 7000

// cleanupTime bounds the release of a lock whose caller has left.
const cleanupTime = 40 * time.Second

// Store keeps sessions in ASPState on a pair. Safe for concurrent use.
type Store struct {
	pair   Pair
	logger *slog.Logger
	apps   appIDs

	live load // what the sweeper must not disturb

	acquiring sync.Map // acquireKey → chan struct{}, closed when that acquire is over

	secret      atomic.Pointer[[]byte] // the fleet's, once known
	localSecret []byte                 // used on a stock schema, which has no place for one

	cleanups cleanups
	closing  context.Context
	close    context.CancelFunc
}

var (
	_ session.Store  = (*Store)(nil)
	_ session.Lister = (*Store)(nil)
)

// New makes a Store on a pair. Close it before the pair ends. A nil logger discards.
func New(pair Pair, logger *slog.Logger) *Store {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{pair: pair, logger: logger, localSecret: make([]byte, 32)}
	rand.Read(s.localSecret)
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// Close ends the store's work in the background and waits for it. Calls under way go on.
func (s *Store) Close() {
	s.close()
	s.cleanups.close()
}

// dialect is how one schema's verbs are called, within one attempt.
type dialect interface {
	get(ctx context.Context, c *call, opts session.GetOptions) (session.Session, error)
	acquire(ctx context.Context, c *call) (session.Session, session.Lock, error)
	update(ctx context.Context, c *call, lock session.Lock, w session.Write, keep bool) (session.Session, error)
	put(ctx context.Context, c *call, w session.Write, cond session.Condition) (session.Session, error)
	release(ctx context.Context, c *call, lock session.Lock) error
	remove(ctx context.Context, c *call, lock session.Lock) error
	touch(ctx context.Context, c *call) (session.Session, error)
}

// call is one attempt of one verb on one session.
type call struct {
	*partner.Attempt
	ref session.Ref
	key string // the SessionId column
	op  session.OperationID
}

// run sends one verb until it has an answer. register says whether an unknown
// application is to be registered: without, it has no sessions.
func (s *Store) run(ctx context.Context, what partner.Call, ref session.Ref, op session.OperationID, register bool,
	verb func(ctx context.Context, d dialect, c *call) error) error {
	if op.IsZero() {
		op = session.NewOperationID()
	}
	err := s.pair.Do(ctx, what, func(ctx context.Context, a *partner.Attempt) error {
		id, err := s.apps.resolve(ctx, a, ref.App.Name, register)
		if err != nil {
			return err
		}
		defer s.live.end(s.live.begin())
		return verb(ctx, dialectOf(a), &call{Attempt: a, ref: ref, key: ref.ID.Key(id), op: op})
	})
	return DomainError(err)
}

func dialectOf(a *partner.Attempt) dialect {
	if a.Extended {
		return extended{}
	}
	return stock{}
}

// Get implements session.Store.
func (s *Store) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (out session.Session, err error) {
	err = s.run(ctx, partner.Call{Label: "get"}, ref, session.OperationID{}, false,
		func(ctx context.Context, d dialect, c *call) (err error) {
			out, err = d.get(ctx, c, opts)
			return err
		})
	return out, err
}

// Acquire implements session.Store. The attempt itself does not end when the
// caller leaves: cut off, it might be granted a lock that nobody knows of. It
// runs to its own end, and a grant that nobody waits for is given back, if the pair
// answers within cleanupTime; otherwise it ends by its age.
func (s *Store) Acquire(ctx context.Context, ref session.Ref, op session.OperationID) (out session.Session, lock session.Lock, err error) {
	if op.IsZero() {
		op = session.NewOperationID()
	}
	over, err := s.acquireAlone(ctx, ref, op)
	if err != nil {
		return out, lock, err
	}
	sent := false
	err = s.run(ctx, partner.Call{Label: "acquire", Write: true}, ref, op, false,
		func(attempt context.Context, d dialect, c *call) (err error) {
			sent = true
			attempt, cancel := toItsOwnEnd(attempt, ctx, c.NotAfter.Sub(c.Sent))
			defer cancel()
			out, lock, err = d.acquire(attempt, c)
			return err
		})
	switch {
	case err == nil && ctx.Err() != nil:
		s.giveBack(ref, op, lock, over)
		return session.Session{}, session.Lock{}, context.Cause(ctx)
	case err != nil && sent && (!isAnswer(err) || errors.Is(err, session.ErrOutcomeUnknown)):
		s.giveBack(ref, op, session.Lock{}, over)
	default:
		over()
	}
	return out, lock, err
}

// acquireKey names an operation of a session.
type acquireKey struct {
	app string
	id  session.ID
	op  session.OperationID
}

// acquireAlone waits until no other acquire of the operation is under way here, the
// giving back of its lock included; over ends the caller's own. A client that left and
// asks again would otherwise find its lock, and have it taken away by the clean-up of its first call.
func (s *Store) acquireAlone(ctx context.Context, ref session.Ref, op session.OperationID) (over func(), err error) {
	key, mine := acquireKey{ref.App.Name, ref.ID, op}, make(chan struct{})
	for {
		other, busy := s.acquiring.LoadOrStore(key, mine)
		if !busy {
			return func() { s.acquiring.Delete(key); close(mine) }, nil
		}
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("%w: an earlier acquire of the same operation is still under way", session.ErrOutcomeUnknown)
		}
	}
}

// toItsOwnEnd is the attempt's context without its caller: it ends with the
// attempt's own time, or with its partner's, but not because the caller left; then it
// ends limit after the attempt began.
func toItsOwnEnd(attempt, caller context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(attempt))
	end := time.Now().Add(limit)
	stop := context.AfterFunc(attempt, func() {
		if caller.Err() == nil {
			cancel()
			return
		}
		timer := time.AfterFunc(time.Until(end), cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { stop(); cancel() }
}

// giveBack releases, in the background, a lock whose caller has left: the one
// given, or whatever one the acquire of that operation was granted, if any. over
// is called when that is done.
func (s *Store) giveBack(ref session.Ref, op session.OperationID, lock session.Lock, over func()) {
	s.cleanups.Go(func() {
		defer over()
		ctx, cancel := context.WithTimeout(s.closing, cleanupTime)
		defer cancel()
		err := s.run(ctx, partner.Call{Label: "give back", HoldsLock: true, Write: true}, ref, op, false,
			func(ctx context.Context, d dialect, c *call) (err error) {
				if lock.IsZero() && c.Extended {
					// The same operation finds its own lock; asked for anew it is granted and
					// given back at once, so that a straggler of it is refused.
					if _, lock, err = d.acquire(ctx, c); err != nil {
						return err
					}
				}
				if lock.IsZero() {
					return session.ErrLockLost
				}
				giveBack := *c
				giveBack.op = session.NewOperationID()
				return d.release(ctx, &giveBack, lock)
			})
		switch {
		case err == nil, errors.Is(err, session.ErrLockLost), errors.Is(err, session.ErrLocked), errors.Is(err, session.ErrNotFound):
		default:
			s.logger.Warn("lock of a caller that left was not given back", "error", err)
		}
	})
}

// Update implements session.Store.
func (s *Store) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.OperationID) (out session.Session, err error) {
	if err := checkWrite(ref, w); err != nil {
		return out, err
	}
	what := partner.Call{Label: "update", HoldsLock: true, Write: true, Bytes: int64(len(w.Item))}
	err = s.run(ctx, what, ref, op, false, func(ctx context.Context, d dialect, c *call) (err error) {
		out, err = d.update(ctx, c, lock, w, keep)
		return err
	})
	return out, missingIsLost(err)
}

// Put implements session.Store.
func (s *Store) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.OperationID) (out session.Session, err error) {
	if err := checkWrite(ref, w); err != nil {
		return out, err
	}
	what := partner.Call{Label: "put", Write: true, Bytes: int64(len(w.Item))}
	err = s.run(ctx, what, ref, op, cond.Match == "", func(ctx context.Context, d dialect, c *call) (err error) {
		out, err = d.put(ctx, c, w, cond)
		return err
	})
	if cond.Match != "" && errors.Is(err, session.ErrNotFound) {
		err = session.ErrPrecondition
	}
	return out, err
}

// Release implements session.Store.
func (s *Store) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.OperationID) error {
	what := partner.Call{Label: "release", HoldsLock: true, Write: true}
	return missingIsLost(s.run(ctx, what, ref, op, false, func(ctx context.Context, d dialect, c *call) error {
		return d.release(ctx, c, lock)
	}))
}

// Remove implements session.Store.
func (s *Store) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.OperationID) error {
	what := partner.Call{Label: "remove", HoldsLock: !lock.IsZero(), Write: true}
	err := s.run(ctx, what, ref, op, false, func(ctx context.Context, d dialect, c *call) error {
		return d.remove(ctx, c, lock)
	})
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}

// Touch implements session.Store.
func (s *Store) Touch(ctx context.Context, ref session.Ref) (out session.Session, err error) {
	err = s.run(ctx, partner.Call{Label: "touch"}, ref, session.OperationID{}, false,
		func(ctx context.Context, d dialect, c *call) (err error) {
			out, err = d.touch(ctx, c)
			return err
		})
	return out, err
}

// checkWrite refuses what must not be sent.
func checkWrite(ref session.Ref, w session.Write) error {
	if w.Timeout != 0 {
		if err := session.ParseTimeout(w.Timeout); err != nil {
			return err
		}
	}
	if limit := ref.App.MaxItem; limit > 0 && len(w.Item) > limit {
		return &session.TooLargeError{Limit: limit}
	}
	return nil
}

// missingIsLost turns "no such session" into the answer a lock's holder gets.
func missingIsLost(err error) error {
	if errors.Is(err, session.ErrNotFound) {
		return session.ErrLockLost
	}
	return err
}

// OperationKey is the secret that makes operation ids of clients' idempotency
// keys: the fleet's own, kept in the database, so that every proxy makes the same
// id; on a stock schema, which remembers no operations, this process's.
func (s *Store) OperationKey(ctx context.Context) ([]byte, error) {
	if known := s.secret.Load(); known != nil {
		return *known, nil
	}
	// Several callers may ask at once; the database has them all get the same one.
	secret := s.localSecret
	err := s.pair.Do(ctx, partner.Call{Label: "fleet secret"}, func(ctx context.Context, a *partner.Attempt) (err error) {
		if a.Extended {
			secret, err = fleetSecret(ctx, a, s.localSecret)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the fleet's secret: %w", DomainError(err))
	}
	s.secret.Store(&secret)
	return secret, nil
}
