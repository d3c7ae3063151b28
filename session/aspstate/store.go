package aspstate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// Pair runs a call on the principal; *partner.Pair does.
type Pair interface {
	Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error
}

// maxShort is the length of the longest item in the short column, in bytes. Source: facts, aspstate-schema §1.
const maxShort = 7000

// cleanupTime bounds the release of a lock whose caller has left.
const cleanupTime = 40 * time.Second

// Store keeps sessions in ASPState on a pair. Safe for concurrent use.
type Store struct {
	pair   Pair
	logger *slog.Logger
	apps   appIDs

	live load // measures the calls, which the sweeper must not slow down

	secret secretKeeper

	cleanups cleanups
	closing  context.Context
	close    context.CancelFunc
}

var (
	_ session.Store  = (*Store)(nil)
	_ session.Lister = (*Store)(nil)
)

// New returns a Store on a pair. Close it before the pair ends. A nil logger discards.
func New(pair Pair, logger *slog.Logger) *Store {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{pair: pair, logger: logger}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// Close ends the store's background work and waits for it. Calls in progress continue.
func (s *Store) Close() {
	s.close()
	s.secret.close()
	s.cleanups.close()
}

// dialect calls the procedures of one schema, within one attempt.
type dialect interface {
	get(ctx context.Context, c *call, opts session.GetOptions) (session.Session, error)
	acquire(ctx context.Context, c *call) (session.Session, session.Lock, error)
	update(ctx context.Context, c *call, lock session.Lock, w session.Write, keep bool) (session.Session, error)
	put(ctx context.Context, c *call, w session.Write, cond session.Condition) (session.Session, error)
	release(ctx context.Context, c *call, lock session.Lock) error
	giveBack(ctx context.Context, c *call, lock session.Lock) error
	remove(ctx context.Context, c *call, lock session.Lock) error
	touch(ctx context.Context, c *call) (session.Session, error) // sets the timeout if c.op has one
}

// call is one attempt of one verb on one session.
type call struct {
	*partner.Attempt
	ref session.Ref
	key string // the SessionId column
	op  session.Operation
}

// shared reports whether other calls may have the same operation id.
func (c *call) shared() bool { return c.op.Call != c.op.ID }

// begun returns op with an id and a call if its caller gave none. An operation whose id is made here has one call,
// with the same id.
func begun(op session.Operation) session.Operation {
	switch {
	case op.ID.IsZero():
		op.ID = session.NewOperationID()
		op.Call = op.ID
	case op.Call.IsZero():
		op.Call = session.NewOperationID()
	}
	if op.Began.IsZero() {
		op.Began = time.Now()
	}
	return op
}

// do runs op on the pair and returns the last result of op. The error is one of package session.
func do[T any](ctx context.Context, pair Pair, what partner.Call, op func(ctx context.Context, a *partner.Attempt) (T, error)) (result T, err error) {
	err = pair.Do(ctx, what, func(ctx context.Context, a *partner.Attempt) (err error) {
		result, err = op(ctx, a)
		return err
	})
	return result, DomainError(err)
}

// run runs one verb on the pair until it has an answer, and returns the verb's last result. It asks for the permission
// before each attempt. If the application is not registered, run registers it, or without register returns ErrNotFound.
func run[T any](ctx context.Context, s *Store, what partner.Call, ref session.Ref, op session.Operation, register bool,
	verb func(ctx context.Context, d dialect, c *call) (T, error)) (result T, err error) {
	if what.Write {
		op = begun(op)
	}
	what.Caller = session.CallerOf(ctx)
	var attempts struct { // state that is kept from one attempt to the next
		sent    sentTo
		settled time.Duration // how long the answer of a refusal must be delayed; see pause
	}
	err = s.pair.Do(ctx, what, func(ctx context.Context, a *partner.Attempt) (err error) {
		a = attempts.sent.then(a)
		if attempts.settled = 0; a.Extended && what.Write && op.Call != op.ID {
			attempts.settled = a.ClockWait()
		}
		if err := permitted(ctx, what, a); err != nil {
			return err
		}
		id, err := s.apps.resolve(ctx, what, a, ref.App.Name, register)
		if err != nil {
			return err
		}
		defer s.live.end(s.live.begin())
		result, err = verb(ctx, dialectOf(a), &call{Attempt: a, ref: ref, key: ref.ID.Key(id), op: op})
		return err
	})
	if attempts.settled > 0 && isAnswer(err) && !(op.AsksAgain && errors.Is(err, session.ErrLocked)) {
		pause(ctx, min(attempts.settled, longestPause))
	}
	return result, DomainError(err)
}

// sentTo records to which schemas the attempts of a call were sent.
type sentTo struct{ stock, extended bool }

// then records an attempt, and returns it as the schema must see it. If earlier attempts were sent only to a stock
// schema, before the extension was installed, the extension has no record of them. So then returns the attempt as a
// first one.
func (s *sentTo) then(a *partner.Attempt) *partner.Attempt {
	if a.Extended && s.stock && !s.extended && a.Resent {
		first := *a
		first.Resent, first.FirstSent = false, a.Sent
		a = &first
	}
	s.stock, s.extended = s.stock || !a.Extended, s.extended || a.Extended
	return a
}

// longestPause bounds how long the answer of a refusal is delayed.
const longestPause = 20 * time.Millisecond

// pause waits for d, which is about a millisecond. A refusal is also the answer of the operation's calls that began
// before it. So it is answered only when the database's clock has certainly passed its time: then the operation's next
// call is known to have begun later.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func dialectOf(a *partner.Attempt) dialect {
	if a.Extended {
		return extended{}
	}
	return stock{}
}

// Get implements session.Store.
func (s *Store) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	return run(ctx, s, partner.Call{Label: "get"}, ref, session.Operation{}, false,
		func(ctx context.Context, d dialect, c *call) (session.Session, error) { return d.get(ctx, c, opts) })
}

// grant is the result of an acquire: the lock, and the session at that moment.
type grant struct {
	session session.Session
	lock    session.Lock
}

// Acquire implements session.Store. An attempt is not cancelled when the caller leaves, because it could be granted a
// lock whose answer is lost. It runs to its own end. If the caller has left by then, the lock is given back, if the pair
// answers within cleanupTime. Otherwise the lock ends by its age.
func (s *Store) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return session.Session{}, session.Lock{}, err
	}
	op = begun(op)
	sent := false
	granted, err := run(ctx, s, partner.Call{Label: "acquire", Write: true}, ref, op, op.Create,
		func(attempt context.Context, d dialect, c *call) (grant, error) {
			sent = true
			attempt, cancel := toItsOwnEnd(attempt, ctx, c.NotAfter.Sub(c.Sent))
			defer cancel()
			out, lock, err := d.acquire(attempt, c)
			return grant{out, lock}, err
		})
	lock := granted.lock
	switch {
	case err == nil && ctx.Err() != nil:
		s.clean(ctx, ref, op, lock)
		return session.Session{}, session.Lock{}, context.Cause(ctx)
	case err != nil && sent && (!isAnswer(err) || errors.Is(err, session.ErrOutcomeUnknown)):
		s.clean(ctx, ref, op, session.Lock{})
	}
	return granted.session, lock, err
}

// toItsOwnEnd returns a context for an attempt that does not end when the caller leaves. It ends when the attempt times
// out or its term ends. If the caller has left, it ends limit after now at the latest.
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

// clean gives back, in the background, the lock of an acquire whose caller has left. If lock is zero, it gives back the
// lock that the acquire may have been granted. The work counts towards that caller's bounds.
func (s *Store) clean(left context.Context, ref session.Ref, op session.Operation, lock session.Lock) {
	caller := session.CallerOf(left)
	s.cleanups.Go(func() {
		ctx, cancel := context.WithTimeout(&session.CallerContext{Context: s.closing, Caller: caller}, cleanupTime)
		defer cancel()
		if err := s.giveBack(ctx, ref, op, lock); err != nil && !errors.Is(err, session.ErrLockLost) {
			s.logger.Warn("lock of a caller that left was not released", "error", err)
		}
	})
}

// giveBack undoes an acquire. A zero lock means that the lock is not known.
func (s *Store) giveBack(ctx context.Context, ref session.Ref, op session.Operation, lock session.Lock) error {
	what := partner.Call{Label: "give back", HoldsLock: true, Write: true}
	_, err := run(ctx, s, what, ref, op, false, func(ctx context.Context, d dialect, c *call) (struct{}, error) {
		return struct{}{}, d.giveBack(ctx, c, lock)
	})
	return missingIsLost(err)
}

// GiveBack implements session.Store.
func (s *Store) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, call session.OperationID) error {
	if call.IsZero() {
		call = lock.Operation
	}
	return s.giveBack(ctx, ref, session.Operation{ID: lock.Operation, Call: call}, lock)
}

// Update implements session.Store.
func (s *Store) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	if err := checkWrite(ref, w); err != nil {
		return session.Session{}, err
	}
	what := partner.Call{Label: "update", HoldsLock: true, Write: true, Bytes: int64(len(w.Item))}
	out, err := run(ctx, s, what, ref, op, false, func(ctx context.Context, d dialect, c *call) (session.Session, error) {
		return d.update(ctx, c, lock, w, keep)
	})
	return out, missingIsLost(err)
}

// Put implements session.Store.
func (s *Store) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if err := checkWrite(ref, w); err != nil {
		return session.Session{}, err
	}
	what := partner.Call{Label: "put", Write: true, Bytes: int64(len(w.Item))}
	out, err := run(ctx, s, what, ref, op, cond.Match == "", func(ctx context.Context, d dialect, c *call) (session.Session, error) {
		return d.put(ctx, c, w, cond)
	})
	if cond.Match != "" && errors.Is(err, session.ErrNotFound) {
		err = session.ErrPrecondition
	}
	return out, err
}

// Release implements session.Store.
func (s *Store) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return err
	}
	what := partner.Call{Label: "release", HoldsLock: true, Write: true}
	_, err := run(ctx, s, what, ref, op, false, func(ctx context.Context, d dialect, c *call) (struct{}, error) {
		return struct{}{}, d.release(ctx, c, lock)
	})
	return missingIsLost(err)
}

// Remove implements session.Store.
func (s *Store) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	what := partner.Call{Label: "remove", HoldsLock: !lock.IsZero(), Write: true}
	_, err := run(ctx, s, what, ref, op, false, func(ctx context.Context, d dialect, c *call) (struct{}, error) {
		return struct{}{}, d.remove(ctx, c, lock)
	})
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}

// Touch implements session.Store. A touch that sets the timeout is a write: without an answer its outcome is unknown.
func (s *Store) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	if err := session.CheckTimeout(op.Timeout, op.Seconds); err != nil {
		return session.Session{}, err
	}
	op = session.Operation{Timeout: op.Timeout, Seconds: op.Seconds} // its id makes no difference
	return run(ctx, s, partner.Call{Label: "touch", Write: setsTimeout(op)}, ref, op, false,
		func(ctx context.Context, d dialect, c *call) (session.Session, error) { return d.touch(ctx, c) })
}

// checkWrite refuses writes that must not be sent.
func checkWrite(ref session.Ref, w session.Write) error {
	if err := session.CheckTimeout(w.Timeout, w.Seconds); err != nil {
		return err
	}
	if limit := ref.App.MaxItem; limit > 0 && len(w.Item) > limit {
		return &session.TooLargeError{Limit: limit}
	}
	return nil
}

// setsTimeout reports whether the operation sets the session's timeout.
func setsTimeout(op session.Operation) bool { return op.Timeout != 0 || op.Seconds != 0 }

// missingIsLost returns ErrLockLost for ErrNotFound: to the holder of a lock, a missing session is a lost lock.
func missingIsLost(err error) error {
	if errors.Is(err, session.ErrNotFound) {
		return session.ErrLockLost
	}
	return err
}
