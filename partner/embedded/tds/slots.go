package tds

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxConnections is the default of [Server.MaxConnections]. SQL Server's own default is 32,767, which is more
// than the file limit of a process.
const DefaultMaxConnections = 4096

const (
	// pendingTime is how long a connection that has not logged in keeps its slot when another connection needs one. A
	// login takes milliseconds.
	pendingTime = time.Second
	// maxRefusals is the number of connections above the limit that wait at a time for their error 17809, which they
	// get at login. Further connections are closed at once.
	maxRefusals = 64
)

var (
	errFull    = errors.New("tds: too many connections")
	errEvicted = errors.New("tds: closed a connection that had not logged in, because another one needed its slot")
)

// full returns SQL Server's error for a connection above the limit.
func full(most int) *Error {
	return &Error{Number: 17809, Class: 20, State: 1, Message: "Could not connect because the maximum number of '" + strconv.Itoa(most) +
		"' user connections has already been reached. The system administrator can use sp_configure to increase the maximum value. The connection has been closed."}
}

// slots are the connection slots of a server. A connection that has not logged in yet can lose its slot to a new one,
// first on the address that has most such connections. A connection that has logged in never loses its slot.
type slots struct {
	refused atomic.Int64

	mu       sync.Mutex
	taken    int
	refusing int
	pending  map[*conn]pendingLogin // have a slot, and have not logged in
}

type pendingLogin struct {
	peer  string
	since time.Time
}

// enter gives the connection a slot, if necessary that of another connection. If there is none it sets c.full: the
// connection gets the error at login. An error means that the connection is closed without one.
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
		if p.refusing >= maxRefusals {
			return errFull
		}
		p.refusing++
		c.full = true
		return nil
	}
	p.pending[c] = pendingLogin{peerOf(c), now}
	return nil
}

// evictLocked closes a connection that has been pending for too long and frees its slot. The caller holds mu.
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
	victim.cancel(errEvicted) // this closes the connection
	p.refused.Add(1)
	return true
}

// loggedIn makes the connection's slot permanent; false: it has just lost the slot.
func (p *slots) loggedIn(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, still := p.pending[c]
	delete(p.pending, c)
	return still
}

// leave frees the connection's slot, if it still has one.
func (p *slots) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pending, c)
	switch {
	case c.full:
		p.refusing--
	case !c.evicted:
		p.taken--
	}
}

// peerOf returns the address of the connection's other end, without its port.
func peerOf(c *conn) string {
	at := c.raw.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(at); err == nil {
		return host
	}
	return at
}
