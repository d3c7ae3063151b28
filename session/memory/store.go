// Package memory keeps sessions in this process's memory, by the rules of the extended ASPState schema.
//
// It is for tests and for trying things out. Sessions end with the process and are not shared with other processes.
// Expired sessions stay until they are replaced or removed: there is no sweeper. One mutex guards everything, so the
// package is no measure of speed.
package memory

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

var (
	_ session.Store  = (*Store)(nil)
	_ session.Lister = (*Store)(nil)
)

// Store is a [session.Store] and [session.Lister] in memory. Make one with [New]. A call takes effect at once, so it
// never waits, and checks its context only before it begins.
type Store struct {
	now func() time.Time // called without mu held

	mu         sync.Mutex
	rows       map[key]*row          // owned by mu, rows included
	tombstones map[tombstone]removal // owned by mu: when each session was removed, by which operation
	removals   []tombstone           // owned by mu: the tombstones, oldest first
	settled    []answered            // owned by mu: the answers of calls that changed nothing, oldest first
}

// key names a row without case, as the usual collation compares; the id is folded.
type key struct{ app, id string }

// tombstone is one removal. A removal that is sent again must not remove the
// session's successor.
type tombstone struct {
	key key
	op  session.OperationID
}

// removal has what the store remembers of a removed session.
type removal struct {
	at      time.Time
	created time.Time
	ring    [ringSize]session.OperationID // its operations
}

// tombstoneLife is how long a removal is remembered, as in the extended schema.
const tombstoneLife = 10 * time.Minute

// New returns an empty store whose clock is now; nil means [time.Now].
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, rows: make(map[key]*row), tombstones: make(map[tombstone]removal)}
}

// call has what every method needs: the rules, the key and the time.
type call struct {
	key       key
	app       session.Application
	now       time.Time
	created   time.Time // of the session, if the call creates one
	abandoned time.Time // locks of this date or older are abandoned
}

func (s *Store) call(ctx context.Context, ref session.Ref) (call, error) {
	if err := ctx.Err(); err != nil {
		return call{}, err
	}
	if err := session.Permitted(ctx); err != nil {
		return call{}, err
	}
	app := ref.App.WithDefaults()
	now := s.now().UTC()
	return call{
		key:       keyOf(ref),
		app:       app,
		now:       now,
		created:   now,
		abandoned: now.Add(-app.LockTimeout.Truncate(time.Second)),
	}, nil
}

func keyOf(ref session.Ref) key {
	return key{app: strings.ToLower(ref.App.Name), id: string(ref.ID.Folded())}
}

// check refuses content that no store accepts.
func (c call) check(w session.Write) error {
	if err := session.CheckTimeout(w.Timeout, w.Seconds); err != nil {
		return err
	}
	if len(w.Item) > c.app.MaxItem {
		return &session.TooLargeError{Limit: c.app.MaxItem}
	}
	return nil
}

// Age moves the session's expiry and the date of its lock back by d, as if d had passed for this session. It ignores a
// missing session.
func (s *Store) Age(ref session.Ref, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rows[keyOf(ref)]; r != nil {
		r.expires = r.expires.Add(-d)
		r.lockDate = r.lockDate.Add(-d)
	}
}

// begun returns op with an id and a call if its caller gave none.
func (c call) begun(op session.Operation) session.Operation {
	if op.ID.IsZero() {
		op.ID = session.NewOperationID()
		op.Call = op.ID
	}
	if op.Call.IsZero() {
		op.Call = session.NewOperationID()
	}
	if op.Began.IsZero() {
		op.Began = c.now
	}
	return op
}

// cloneItem copies an item. The copy is never nil, because no stored item is NULL.
func cloneItem(item []byte) []byte { return append([]byte{}, item...) }
