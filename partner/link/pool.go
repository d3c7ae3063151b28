package link

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// Why a connection or an attempt was ended.
var (
	// ErrTermOver is the cause if the term of the pool is over.
	ErrTermOver = errors.New("the principal has changed")
	// ErrAttemptTimeout is the cause if the attempt timed out. It is a context.DeadlineExceeded.
	ErrAttemptTimeout = fmt.Errorf("the attempt timed out: %w", context.DeadlineExceeded)
	errLoginTimeout   = fmt.Errorf("the login timed out: %w", context.DeadlineExceeded)
)

// maxIdleTime is how long a connection may be idle before it is closed. The fewer idle connections there are,
// the fewer are found broken at their next use.
const maxIdleTime = 15 * time.Second

// Pool holds the connections of one term. A new term gets a new pool. All methods may be called concurrently.
type Pool interface {
	// Get checks out a connection for one attempt. The pool calls cancel if it is aborted before the connection
	// is released. If ctx ends, the connection is closed after the grace budget. The error is
	// classify.ErrPoolBusy if no connection became free.
	Get(ctx context.Context, cancel context.CancelCauseFunc) (Lease, error)
	// Warm makes n connections in advance. It returns when all have been made or have failed.
	Warm(n int)
	// CloseIdle closes the idle connections.
	CloseIdle()
	// Stats returns how many connections are open and in use.
	Stats() sql.DBStats
	// Abort closes every connection at once, and the pool. Waiting calls to Get return an error.
	Abort(cause error)
}

// Lease is a connection that is checked out for one attempt. One goroutine uses it; Received may be called by others.
type Lease interface {
	// Conn returns the connection.
	Conn() *sql.Conn
	// Broke reports whether a read or write on the socket has failed.
	Broke() bool
	// Received returns the number of bytes read on the connection since it was made.
	Received() int64
	// Release gives the connection back to the pool, or closes it if it is broken. It is called once.
	Release(broken bool)
}

// sqlPool is a Pool on top of database/sql.
type sqlPool struct {
	db        *sql.DB
	connector *connector
	max       int

	ctx    context.Context // ends with Abort
	cancel context.CancelFunc
}

var _ Pool = (*sqlPool)(nil)

// newPool returns a pool of at most limit connections. It dials nothing.
func newPool(c *connector, limit int) *sqlPool {
	p := &sqlPool{db: sql.OpenDB(c), connector: c, max: limit}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.db.SetMaxOpenConns(limit)
	p.db.SetMaxIdleConns(limit)
	p.db.SetConnMaxIdleTime(maxIdleTime)
	return p
}

// Get implements Pool.
func (p *sqlPool) Get(ctx context.Context, cancel context.CancelCauseFunc) (Lease, error) {
	sc, err := p.db.Conn(ctx)
	if err != nil {
		if _, tried := errors.AsType[*LoginError](err); !tried && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", classify.ErrPoolBusy, err)
		}
		return nil, err
	}
	l := &sqlLease{conn: sc}
	err = sc.Raw(func(dc any) error {
		l.raw = dc.(*conn)
		return nil
	})
	if err != nil {
		_ = sc.Close()
		return nil, err
	}
	l.raw.begin(cancel)
	// The driver waits five seconds for an answer to a cancel request. A call whose context ended must not wait
	// that long.
	l.stopTimer = context.AfterFunc(ctx, l.expire)
	return l, nil
}

// Warm implements Pool. It ignores errors: a call that needs a connection will meet them.
func (p *sqlPool) Warm(n int) {
	var wg sync.WaitGroup
	for range min(n, p.max) {
		wg.Go(func() {
			if c, err := p.db.Conn(p.ctx); err == nil {
				_ = c.Close() // gives it back to the pool
			}
		})
	}
	wg.Wait()
}

// CloseIdle implements Pool.
func (p *sqlPool) CloseIdle() {
	p.db.SetMaxIdleConns(-1)
	p.db.SetMaxIdleConns(p.max)
}

// Stats implements Pool.
func (p *sqlPool) Stats() sql.DBStats { return p.db.Stats() }

// Abort implements Pool. It closes the sockets first: closing the pool would send a logout on each idle
// connection, and the server may not answer.
func (p *sqlPool) Abort(cause error) {
	p.cancel()
	p.connector.abort(cause)
	_ = p.db.Close()
}

// sqlLease is a Lease of a sqlPool.
type sqlLease struct {
	conn      *sql.Conn
	raw       *conn
	stopTimer func() bool
	finished  atomic.Bool // set once: by Release, or by expire when it closes the socket
}

// Conn implements Lease.
func (l *sqlLease) Conn() *sql.Conn { return l.conn }

// Broke implements Lease.
func (l *sqlLease) Broke() bool { return l.raw.sockets.broken.Load() }

// Received implements Lease.
func (l *sqlLease) Received() int64 { return l.raw.sockets.received.Load() }

// expire closes the socket if the connection is still checked out when the grace budget is over.
func (l *sqlLease) expire() {
	time.AfterFunc(l.raw.owner.grace, func() {
		if l.finished.CompareAndSwap(false, true) {
			l.raw.sockets.close()
		}
	})
}

// Release implements Lease.
func (l *sqlLease) Release(broken bool) {
	l.stopTimer()
	l.raw.end()
	if !l.finished.CompareAndSwap(false, true) || broken {
		l.raw.sockets.close()
		// This is how database/sql is told to discard a connection.
		_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = l.conn.Close()
}
