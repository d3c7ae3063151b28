package partner

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Why an attempt's context ended, for context.Cause.
var (
	errTermOver    = errors.New("the principal moved")
	errAttemptTime = fmt.Errorf("the attempt's time is over: %w", context.DeadlineExceeded)
	errLoginTime   = fmt.Errorf("the login's time is over: %w", context.DeadlineExceeded)
)

// maxIdleTime closes connections nobody used for so long: the fewer idle ones
// there are, the fewer turn out dead at their first use.
const maxIdleTime = 15 * time.Second

// pool is the connections of one term. A term's pool is never used after it.
type pool interface {
	// get checks out a connection for one attempt. Until it is released, cancel is
	// called when the pool is cut, and the connection dies soon after ctx ended.
	get(ctx context.Context, cancel context.CancelCauseFunc) (lease, error)
	// warm makes n connections, for the calls to come, and returns when it has tried.
	warm(n int)
	// purge closes the idle connections.
	purge()
	// stats tells what they are doing.
	stats() sql.DBStats
	// cut ends every connection at once, and the pool. Whoever waits for one gets an error.
	cut(cause error)
}

// lease is a connection checked out.
type lease interface {
	conn() *sql.Conn
	// broke tells whether its socket has failed.
	broke() bool
	// received is how many bytes have come through it so far.
	received() int64
	// release gives it back, or closes it if it is broken.
	release(broken bool)
}

// sqlPool is a pool of database/sql.
type sqlPool struct {
	db  *sql.DB
	c   *connector
	max int

	uncut  context.Context // ends with cut
	ending context.CancelFunc
}

var _ pool = (*sqlPool)(nil)

// newPool makes a pool of at most limit connections. It dials nothing yet.
func newPool(c *connector, limit int) *sqlPool {
	p := &sqlPool{db: sql.OpenDB(c), c: c, max: limit}
	p.uncut, p.ending = context.WithCancel(context.Background())
	p.db.SetMaxOpenConns(limit)
	p.db.SetMaxIdleConns(limit)
	p.db.SetConnMaxIdleTime(maxIdleTime)
	return p
}

// get implements pool.
func (p *sqlPool) get(ctx context.Context, cancel context.CancelCauseFunc) (lease, error) {
	sc, err := p.db.Conn(ctx)
	if err != nil {
		if _, tried := errors.AsType[*loginError](err); !tried && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errPoolBusy, err)
		}
		return nil, err
	}
	l := &sqlLease{sc: sc}
	err = sc.Raw(func(dc any) error {
		l.dc = dc.(*conn)
		return nil
	})
	if err != nil {
		_ = sc.Close()
		return nil, err
	}
	l.dc.begin(cancel)
	// The driver gives an unanswered cancel request five seconds. A call whose
	// context ended shall not wait so long.
	l.unwatch = context.AfterFunc(ctx, l.expire)
	return l, nil
}

// warm implements pool. What could not be connected, the calls will find out.
func (p *sqlPool) warm(n int) {
	var wg sync.WaitGroup
	for range min(n, p.max) {
		wg.Go(func() {
			if c, err := p.db.Conn(p.uncut); err == nil {
				_ = c.Close() // gives it back
			}
		})
	}
	wg.Wait()
}

// purge implements pool.
func (p *sqlPool) purge() {
	p.db.SetMaxIdleConns(-1)
	p.db.SetMaxIdleConns(p.max)
}

// stats implements pool.
func (p *sqlPool) stats() sql.DBStats { return p.db.Stats() }

// cut implements pool. The sockets go first: closing the pool waits for nobody,
// but idle connections would say goodbye to a server that may not listen.
func (p *sqlPool) cut(cause error) {
	p.ending()
	p.c.cut(cause)
	_ = p.db.Close()
}

// sqlLease is a lease of a sqlPool.
type sqlLease struct {
	sc      *sql.Conn
	dc      *conn
	unwatch func() bool
	settled atomic.Bool // set once, by release or by the cut, whichever comes first
}

// conn implements lease.
func (l *sqlLease) conn() *sql.Conn { return l.sc }

// broke implements lease.
func (l *sqlLease) broke() bool { return l.dc.sockets.broke.Load() }

// received implements lease.
func (l *sqlLease) received() int64 { return l.dc.sockets.received.Load() }

// expire cuts the socket if the lease is still out when the grace is over.
func (l *sqlLease) expire() {
	time.AfterFunc(l.dc.owner.grace, func() {
		if l.settled.CompareAndSwap(false, true) {
			l.dc.sockets.cut()
		}
	})
}

// release implements lease.
func (l *sqlLease) release(broken bool) {
	l.unwatch()
	l.dc.end()
	if !l.settled.CompareAndSwap(false, true) || broken {
		l.dc.sockets.cut()
		// The only way database/sql has to say: throw this one away.
		_ = l.sc.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = l.sc.Close()
}
