package embedded

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// masterName is the database in which everybody is who names none.
const masterName = "master"

// systemDatabases are the databases that always open. They hold nothing but, in master, the logins.
var systemDatabases = []string{masterName, "tempdb", "model", "msdb"}

// canonicalDatabase is the name as it is written in the catalogue; false for one
// that is not there.
func (i *instance) canonicalDatabase(name string) (string, bool) {
	if d := i.find(name); d != nil {
		return d.title, true
	}
	at := slices.IndexFunc(systemDatabases, func(s string) bool { return strings.EqualFold(s, name) })
	if at < 0 {
		return name, false
	}
	return systemDatabases[at], true
}

// known tells whether there is a database of that name.
func (i *instance) known(name string) bool {
	_, ok := i.canonicalDatabase(name)
	return ok
}

// What a session is doing, as a role change sees it.
const (
	sessionIdle int32 = iota
	sessionBusy
	sessionKilled
)

// presence is what a session shows to a role change.
type presence struct {
	in       atomic.Pointer[database] // its database; nil: one of the system's
	term     atomic.Int64             // the database's term when it came there
	activity atomic.Int32             // sessionIdle, …
	conn     net.Conn                 // nil: it has no client
}

// sessionSet is the sessions of a partner.
type sessionSet struct {
	mu  sync.Mutex
	all map[*presence]struct{}
}

func (t *sessionSet) add(s *presence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[*presence]struct{}{}
	}
	t.all[s] = struct{}{}
}

func (t *sessionSet) remove(s *presence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, s)
}

// inside tells whether any session but one is in the database.
func (t *sessionSet) inside(d *database, except *presence) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.all {
		if s != except && s.in.Load() == d {
			return true
		}
	}
	return false
}

// drop ends the sessions that came into the database before its present term, as
// SQL Server does at a role change: an idle one's connection is closed; one that is
// busy has its answer first, and learns at its next request that it is dead.
func (t *sessionSet) drop(d *database) {
	term := d.term.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.all {
		if s.in.Load() == d && s.term.Load() < term && s.activity.CompareAndSwap(sessionIdle, sessionKilled) && s.conn != nil {
			_ = s.conn.Close() // it may be gone already
		}
	}
}

// enter begins a request, unless a role change has ended the session.
func (s *presence) enter() error {
	d := s.in.Load()
	if s.activity.CompareAndSwap(sessionIdle, sessionBusy) && !s.cutOff(d) {
		return nil
	}
	if d == nil {
		return errKillState()
	}
	return d.killed()
}

// cutOff tells whether d, the session's database, was closed since the session came there.
func (s *presence) cutOff(d *database) bool { return d != nil && s.term.Load() != d.term.Load() }

func (s *presence) leave() { s.activity.CompareAndSwap(sessionBusy, sessionIdle) }

// closedTo tells whether err refuses a session that is in the database because the database was closed meanwhile.
func (d *database) closedTo(s *presence, err error) bool {
	e, ok := errors.AsType[*tds.Error](err)
	if !ok || e.Class >= fatalClass {
		return false
	}
	now, closed := errors.AsType[*tds.Error](d.serving())
	if closed && now.Number == e.Number {
		return true
	}
	return (closed || s.cutOff(d)) && (e.Number == errMirror("").Number || e.Number == errNoQuorum("").Number)
}
