package tds

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxConnections is how many connections a [Server] takes if nobody says. SQL Server's own default is 32,767, which is
// more than a process has files for.
const DefaultMaxConnections = 4096

const (
	// strangerTime is how long a connection that has not logged in keeps its place where others want it. A login takes
	// milliseconds.
	pendingTime = time.Second
	// maxTold is how many connections beyond the bound are told so at a time (17809, once they try to log in). Others are closed
	// as they come.
	maxRefusals = 64
)

var (
	errFull    = errors.New("tds: there are as many connections as may be")
	errEvicted = errors.New("tds: the connection did not log in, and made room for another one")
)

// full is what SQL Server says to a connection too many.
func full(most int) *Error {
	return &Error{Number: 17809, Class: 20, State: 1, Message: "Could not connect because the maximum number of '" + strconv.Itoa(most) +
		"' user connections has already been reached. The system administrator can use sp_configure to increase the maximum value. The connection has been closed."}
}

// places are the connections that a server has room for. Those that have not logged in make room for new ones, those of the
// address that has most of them first; nobody's login is closed for a new one.
type slots struct {
	refused atomic.Int64

	mu      sync.Mutex
	taken   int
	told    int
	pending map[*conn]pendingLogin // have a place, and have not logged in
}

type pendingLogin struct {
	peer  string
	since time.Time
}

// enter gives the connection a place, if need be another's. Without one, c.full is set: it is to be told so; an error means that
// it is not even that.
func (p *slots) enter(c *conn, most int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		p.pending = map[*conn]pendingLogin{}
	}
	now := time.Now()
	switch {
	case p.taken < most:
		p.taken++
	case !p.evictLocked(now):
		p.refused.Add(1)
		if p.told >= maxRefusals {
			return errFull
		}
		p.told++
		c.full = true
		return nil
	}
	p.pending[c] = pendingLogin{peerOf(c), now}
	return nil
}

// evictLocked closes a connection that has not logged in for too long; its place is free then. The caller holds mu.
func (p *slots) evictLocked(now time.Time) bool {
	of := map[string]int{}
	for _, s := range p.pending {
		of[s.peer]++
	}
	var victim *conn
	for c, s := range p.pending {
		if now.Sub(s.since) < pendingTime {
			continue
		}
		if v := p.pending[victim]; victim == nil || of[s.peer] > of[v.peer] || of[s.peer] == of[v.peer] && s.since.Before(v.since) {
			victim = c
		}
	}
	if victim == nil {
		return false
	}
	delete(p.pending, victim)
	victim.evicted = true
	victim.cancel(errEvicted) // which closes it
	p.refused.Add(1)
	return true
}

// loggedIn keeps the connection's place for it; false: it has just lost it.
func (p *slots) loggedIn(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, still := p.pending[c]
	delete(p.pending, c)
	return still
}

// leave gives the connection's place back, if it still has one.
func (p *slots) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pending, c)
	switch {
	case c.full:
		p.told--
	case !c.evicted:
		p.taken--
	}
}

// peerOf is the address of the connection's other end, without its port.
func peerOf(c *conn) string {
	at := c.raw.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(at); err == nil {
		return host
	}
	return at
}
