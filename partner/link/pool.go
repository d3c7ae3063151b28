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

// Why an attempt's context ended, for context.Cause.
var (
	ErrTermOver       = errors.New("the principal moved")
	ErrAttemptTimeout = fmt.Errorf("the attempt's time is over: %w", context.DeadlineExceeded)
	errLoginTimeout   = fmt.Errorf("the login's time is over: %w", context.DeadlineExceeded)
)

// maxIdleTime closes connections nobody used for so long: the fewer idle ones
// there are, the fewer turn out dead at their first use.
const maxIdleTime = 15 * time.Second

// Pool is the connections of one term. A term's pool is never used after it.
type Pool interface {
	// get checks out a connection for one attempt. Until it is released, cancel is
	// called when the pool is cut, and the connection dies soon after ctx ended.
	Get(ctx context.Context, cancel context.CancelCauseFunc) (Lease, error)
	// warm makes n connections, for the calls to come, and returns when it has tried.
	Warm(n int)
	// purge closes the idle connections.
	CloseIdle()
	// stats tells what they are doing.
	Stats() sql.DBStats
	// cut ends every connection at once, and the pool. Whoever waits for one gets an error.
	Abort(cause error)
}

// Lease is a connection checked out.
type Lease interface {
	Conn() *sql.Conn
	// broke tells whether its socket has failed.
	Broke() bool
	// received is how many bytes have come through it so far.
	Received() int64
	// release gives it back, or closes it if it is broken.
	Release(broken bool)
}

// sqlPool is a pool of database/sql.
type sqlPool struct {
	db        *sql.DB
	connector *connector
	max       int

	ctx    context.Context // ends with cut
	cancel context.CancelFunc
}

var _ Pool = (*sqlPool)(nil)

// newPool makes a pool of at most limit connections. It dials nothing yet.
func newPool(c *connector, limit int) *sqlPool {
	p := &sqlPool{db: sql.OpenDB(c), connector: c, max: limit}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.db.SetMaxOpenConns(limit)
	p.db.SetMaxIdleConns(limit)
	p.db.SetConnMaxIdleTime(maxIdleTime)
	return p
}

// Get implements pool.
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
	// The driver gives an unanswered cancel request five seconds. A call whose
	// context ended shall not wait so long.
	l.stopTimer = context.AfterFunc(ctx, l.expire)
	return l, nil
}

// Warm implements pool. What could not be connected, the calls will find out.
func (p *sqlPool) Warm(n int) {
	var wg sync.WaitGroup
	for range min(n, p.max) {
		wg.Go(func() {
			if c, err := p.db.Conn(p.ctx); err == nil {
				_ = c.Close() // gives it back
			}
		})
	}
	wg.Wait()
}

// Purge implements pool.
func (p *sqlPool) CloseIdle() {
	p.db.SetMaxIdleConns(-1)
	p.db.SetMaxIdleConns(p.max)
}

// Stats implements pool.
func (p *sqlPool) Stats() sql.DBStats { return p.db.Stats() }

// Cut implements pool. The sockets go first: closing the pool waits for nobody,
// but idle connections would say goodbye to a server that may not listen.
func (p *sqlPool) Abort(cause error) {
	p.cancel()
	p.connector.abort(cause)
	_ = p.db.Close()
}

// sqlLease is a lease of a sqlPool.
type sqlLease struct {
	conn      *sql.Conn
	raw       *conn
	stopTimer func() bool
	finished  atomic.Bool // set once, by release or by the cut, whichever comes first
}

// Conn implements lease.
func (l *sqlLease) Conn() *sql.Conn { return l.conn }

// Broke implements lease.
func (l *sqlLease) Broke() bool { return l.raw.sockets.broken.Load() }

// Received implements lease.
func (l *sqlLease) Received() int64 { return l.raw.sockets.received.Load() }

// expire cuts the socket if the lease is still out when the grace is over.
func (l *sqlLease) expire() {
	time.AfterFunc(l.raw.owner.grace, func() {
		if l.finished.CompareAndSwap(false, true) {
			l.raw.sockets.close()
		}
	})
}

// Release implements lease.
func (l *sqlLease) Release(broken bool) {
	l.stopTimer()
	l.raw.end()
	if !l.finished.CompareAndSwap(false, true) || broken {
		l.raw.sockets.close()
		// The only way database/sql has to say: throw this one away.
		_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = l.conn.Close()
}
