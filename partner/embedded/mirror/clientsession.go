package mirror

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// MasterName is the database of sessions that name no database.
const MasterName = "master"

// SystemDatabases are the databases that are always open. They hold no data, except the logins in master.
var SystemDatabases = []string{MasterName, "tempdb", "model", "msdb"}

// CanonicalDatabase returns the name as the catalogue writes it; false if there is no database of that name.
func (i *Instance) CanonicalDatabase(name string) (string, bool) {
	if d := i.Find(name); d != nil {
		return d.Title, true
	}
	at := slices.IndexFunc(SystemDatabases, func(s string) bool { return strings.EqualFold(s, name) })
	if at < 0 {
		return name, false
	}
	return SystemDatabases[at], true
}

// Known reports whether there is a database of that name.
func (i *Instance) Known(name string) bool {
	_, ok := i.CanonicalDatabase(name)
	return ok
}

// The activities of a session, for a role change.
const (
	sessionIdle int32 = iota
	sessionBusy
	sessionKilled
)

// ClientSession is the part of a client's session that a role change needs.
type ClientSession struct {
	In       atomic.Pointer[Database] // its database; nil: a system database
	Term     atomic.Int64             // the database's term when the session began to use it
	activity atomic.Int32             // sessionIdle, …
	Conn     net.Conn                 // nil: the session has no client
}

// Sessions holds the sessions of a partner.
type Sessions struct {
	mu  sync.Mutex
	all map[*ClientSession]struct{}
}

// Add adds a session.
func (t *Sessions) Add(s *ClientSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[*ClientSession]struct{}{}
	}
	t.all[s] = struct{}{}
}

// Remove removes a session.
func (t *Sessions) Remove(s *ClientSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, s)
}

// Inside reports whether a session other than except uses the database.
func (t *Sessions) Inside(d *Database, except *ClientSession) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.all {
		if s != except && s.In.Load() == d {
			return true
		}
	}
	return false
}

// drop ends the sessions that use the database since before its current term, as SQL Server does at a role change.
// It closes the connection of an idle session. A busy session gets its answer first, and its next request fails.
func (t *Sessions) drop(d *Database) {
	term := d.Term.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.all {
		if s.In.Load() == d && s.Term.Load() < term && s.activity.CompareAndSwap(sessionIdle, sessionKilled) && s.Conn != nil {
			_ = s.Conn.Close() // it may be closed already
		}
	}
}

// Enter begins a request, unless a role change has ended the session.
func (s *ClientSession) Enter() error {
	d := s.In.Load()
	if s.activity.CompareAndSwap(sessionIdle, sessionBusy) && !s.cutOff(d) {
		return nil
	}
	if d == nil {
		return sqlerror.ErrKillState()
	}
	return d.Killed()
}

// cutOff reports whether d, the session's database, was closed since the session began to use it.
func (s *ClientSession) cutOff(d *Database) bool { return d != nil && s.Term.Load() != d.Term.Load() }

// Leave ends a request.
func (s *ClientSession) Leave() { s.activity.CompareAndSwap(sessionBusy, sessionIdle) }

// ClosedTo reports whether err means that the session's database was closed while the session used it.
func (d *Database) ClosedTo(s *ClientSession, err error) bool {
	e, ok := errors.AsType[*tds.Error](err)
	if !ok || e.Class >= sqlerror.FatalClass {
		return false
	}
	now, closed := errors.AsType[*tds.Error](d.Serving())
	if closed && now.Number == e.Number {
		return true
	}
	return (closed || s.cutOff(d)) && (e.Number == sqlerror.ErrMirror("").Number || e.Number == sqlerror.ErrNoQuorum("").Number)
}
