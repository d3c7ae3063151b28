package engine

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// session is one client's connection.
type session struct {
	mirror.ClientSession
	p     *Partner
	login *loginRow // nil: the pair's own login, a sysadmin
	spid  uint16
	app   string
	host  string

	loginDatabase string
	database      string

	ran         int   // number of statements of the request
	tries       int   // number of TRY blocks around the call that is to begin
	aborts      bool  // that error rolls the client's transaction back, too
	callEnded   *bool // a procedure has ended the client's transaction: true for a COMMIT; nil: none has, or the client was told
	over        bool  // an error has ended the batch: no statement around that of the error continues
	spent       int   // reduces the number of statements that a procedure may run, for tests
	noCount     bool
	lockTimeout time.Duration // below 0: no limit
	rowCount    int64         // @@ROWCOUNT
	lastError   int32         // @@ERROR

	set options

	open            int    // @@TRANCOUNT
	id              uint64 // of the open transaction
	transactionName string // of the outermost transaction
	doomed          bool   // it can only be rolled back
	saved           []savepoint

	locals localTables // temporary tables

	identity identities
	before   localTables   // as they were when the open transaction began
	lease    *mirror.Lease // set once the open transaction has used the database

	at           statementContext
	callerNumber int64
	// endedInTrigger: a trigger has rolled back the transaction, and the batch must end.
	endedInTrigger bool
	forgetCaller   func() // nil: the request has not called a function

	prepared      map[int64]preparedText // sp_prepare
	preparedBytes int64                  // bytes of their texts
	handle        int64
}

var _ tds.Session = (*session)(nil)

// Batch implements [tds.Session].
func (s *session) Batch(ctx context.Context, text string, w *tds.Response) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	s.p.counts.batches.Add(1)
	s.beginRequest(w)
	b := &batch{s: s, w: w}
	return s.reportError(s.endRequest(w, s.guarded(func() error { return b.runText(ctx, text) })))
}

// guarded runs a request. A panic fails the request and rolls its transaction back.
func (s *session) guarded(request func() error) error {
	err := storage.RecoverPanic(request)
	if _, panicked := errors.AsType[*storage.PanicError](err); panicked {
		s.rollback(nil)
	}
	return err
}

// Call implements [tds.Session].
func (s *session) Call(ctx context.Context, c *tds.Call, w *tds.Response) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	s.beginRequest(w)
	return s.reportError(s.endRequest(w, s.guarded(func() error {
		if c.ProcID != 0 {
			return s.systemCall(ctx, c.ProcID, c.Params, w)
		}
		return s.callByName(ctx, c, w)
	})))
}

// reportError stores the number of a request's error for @@ERROR, and converts all other errors to SQL Server
// errors. A refusal by the session's own database, which was open when the session began to use it, means that the
// session has ended.
func (s *session) reportError(err error) error {
	if err == nil {
		return nil
	}
	if d := s.In.Load(); d != nil && d.ClosedTo(&s.ClientSession, err) {
		err = d.Killed()
	}
	var e *tds.Error
	var many tds.Errors
	switch {
	case errors.As(err, &many):
		s.lastError = many[0].Number
	case errors.As(err, &e):
		s.lastError = e.Number
	case errors.Is(err, context.Canceled), errors.Is(err, tds.ErrAttention), errors.Is(err, tds.ErrClientGone):
	default:
		if fault, ok := errors.AsType[*storage.PanicError](err); ok {
			s.p.Log.Error("panic", "error", err, "stack", string(fault.Stack))
		}
		s.p.Log.Error("request failed", "error", err)
		s.lastError = 50000
	}
	return err
}

// Begin implements [tds.Session]: a transaction manager request.
func (s *session) Begin(_ context.Context, _ byte, name string) (uint64, error) {
	if err := s.Enter(); err != nil {
		return 0, err
	}
	defer s.Leave()
	if s.begin(); s.open == 1 {
		s.transactionName = name
	}
	return s.id, nil
}

var transactionIDs atomic.Uint64

func (s *session) begin() {
	if s.open++; s.open == 1 {
		s.id, s.transactionName = transactionIDs.Add(1), ""
		s.before = maps.Clone(s.locals)
	}
}

// Commit implements [tds.Session].
func (s *session) Commit(context.Context) error {
	if err := s.Enter(); err != nil {
		s.rollback(nil)
		return err
	}
	defer s.Leave()
	return s.reportError(s.commit(nil))
}

// commit ends the innermost transaction. The end of the outermost makes everything durable; w, if not nil,
// receives it.
func (s *session) commit(w *tds.Response) error {
	if s.open == 0 {
		return sqlerror.New(3902, 16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
	}
	if s.doomed {
		return errUncommittable()
	}
	if s.open--; s.open > 0 {
		return nil
	}
	s.saved = nil
	l := s.lease
	s.lease = nil
	var err error
	if l != nil {
		err = l.Commit()
	}
	if w != nil {
		w.TransactionEnded(err == nil)
	}
	return err
}

// Rollback implements [tds.Session].
func (s *session) Rollback(context.Context) error {
	if err := s.Enter(); err != nil {
		s.rollback(nil)
		return err
	}
	defer s.Leave()
	if s.open == 0 {
		return s.reportError(errNoTransaction())
	}
	s.rollback(nil)
	return nil
}

// rollback undoes the open transaction, including all nested ones.
func (s *session) rollback(w *tds.Response) {
	if s.lease != nil {
		s.lease.Abort(mirror.ErrLeaseDone)
		s.lease = nil
	}
	if s.open > 0 && w != nil {
		w.TransactionEnded(false)
	}
	if s.open > 0 {
		s.locals = s.before
	}
	s.open, s.doomed, s.saved = 0, false, nil
}

// inTransaction returns the open transaction's lease on the database; nil if no transaction is open. It waits for
// the turn when the transaction first needs it.
func (s *session) inTransaction(ctx context.Context, d *mirror.Database) (*mirror.Lease, error) {
	if s.lease != nil && s.lease.P != d {
		return nil, sqlerror.NotSupported("A transaction on two databases")
	}
	if s.open == 0 || s.lease != nil {
		return s.lease, nil
	}
	ctx, cancel := s.withLockTimeout(ctx)
	defer cancel()
	l, err := d.OpenLease(ctx)
	s.lease = l
	return l, err
}

// errLockTimeout is the error when SET LOCK_TIMEOUT has expired.
var errLockTimeout = sqlerror.New(1222, 16, "Lock request time out period exceeded.")

// withLockTimeout returns a context that ends, with 1222, when SET LOCK_TIMEOUT expires.
func (s *session) withLockTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.lockTimeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, max(s.lockTimeout, time.Millisecond), errLockTimeout)
}

// Reset implements [tds.Session].
func (s *session) Reset(context.Context) error {
	s.rollback(nil)
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	s.set, s.locals, s.identity = options{}, nil, identities{}
	s.noCount, s.rowCount, s.lastError, s.lockTimeout = false, 0, 0, -1
	s.forgetAllPrepared()
	if s.database != s.loginDatabase {
		// If the login's database has moved to the other partner meanwhile, the session ends. Otherwise its client
		// would be in another database than it logged in to.
		err := s.use(s.loginDatabase)
		if why, ok := errors.AsType[*tds.Error](err); ok {
			return sqlerror.ErrKilled(why)
		}
		return err
	}
	return nil
}

// Close implements [tds.Session].
func (s *session) Close() {
	s.rollback(nil)
	s.forgetAllPrepared()
	s.endCaller()
	s.p.Sessions.Remove(&s.ClientSession)
}
