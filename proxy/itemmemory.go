package proxy

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/shares"
)

// MemoryStats count the bytes of items that requests have in memory.
type MemoryStats struct {
	Bytes   int64  // now
	Refused uint64 // requests turned away because it was too much
	Evicted uint64 // requests that were ended in the middle, to make room for a caller with less in memory
}

// itemMemory bounds the bytes of items in memory, those that come and those that go. What a
// client only announces counts for nothing: otherwise a few that announce much and send
// nothing would turn everybody away.
//
// When it is full, a caller with less in memory than another gets room from that one: of its requests
// that wait for their client, for a place at the store, for somebody's lock, or at the store for a principal or a connection, those
// that came first are ended, as they are most likely to have a client that does not move. What the store has sent stays: it asks for
// its [session.Permission] before it sends. So that there is room beside that, a caller with more than one item, and with more
// than a sixteenth of the limit, leaves an eighth of it to others.
//
// A request without an item costs nothing; one with an item four or five short holds of a mutex, and one more each time its item
// has grown four times as large.
// Any number of goroutines may use it.
type itemMemory struct {
	limit            int64
	used             atomic.Int64 // what the pool has; written under mu
	refused, evicted atomic.Uint64

	mu      sync.Mutex // guards the pool and all itemShares; held for no I/O
	pool    shares.Pool[*itemShare]
	arrived uint64 // how many did so far
}

// itemShare is what one request has in memory. The zero value is nothing.
type itemShare struct {
	taken int // owned by the request's goroutine; with 0 nobody else knows the share

	part    shares.Part[*itemShare]
	w       http.ResponseWriter // the request's, for stop
	stop    func(*itemShare)    // ends what the request waits for; nil: it stays
	end     func()              // ends the request's context, for endCall; nil: it has none to end
	evicted bool                // it had to make room, and is to end
}

// take counts n bytes more for a caller; false: there is no room for them, and they are not counted.
func (m *itemMemory) take(caller string, s *itemShare, n int) bool {
	if n == 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.evicted:
		return false
	case !m.roomLocked(caller, s, n):
		m.refused.Add(1)
		return false
	}
	m.addLocked(caller, s, n)
	return true
}

// takeAlways counts n bytes whether there is room for them or not: they are there already, and
// what was done for them can't be taken back.
func (m *itemMemory) takeAlways(caller string, s *itemShare, n int) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roomLocked(caller, s, n)
	m.addLocked(caller, s, n) // the share is not gone: who gets a lock comes from the store
}

// The parts, one in so many, of the limit that are left to callers with little, and that make somebody one with more.
const (
	reservedShare = 8
	largeShare    = 16
)

// boundLocked is the limit for n bytes more of a request's. Where callers are not told apart there is nobody to leave
// room to.
func (m *itemMemory) boundLocked(caller string, s *itemShare, n int) shares.Size {
	has := m.pool.Share(caller).Bytes
	if caller == "" || has == int64(s.taken) || has+int64(n) <= m.limit/largeShare {
		return shares.Size{Bytes: m.limit}
	}
	return shares.Size{Bytes: m.limit - m.limit/reservedShare}
}

// roomLocked makes room for n bytes of a caller's, where another has more.
func (m *itemMemory) roomLocked(caller string, s *itemShare, n int) bool {
	gone, ok := m.pool.Room(caller, shares.Size{Bytes: int64(n)}, m.boundLocked(caller, s, n))
	for _, part := range gone {
		part.Value.evicted = true
		part.Value.stop(part.Value)
	}
	m.evicted.Add(uint64(len(gone)))
	return ok
}

func (m *itemMemory) addLocked(caller string, s *itemShare, n int) {
	if s.taken == 0 {
		m.arrived++
		s.part = shares.Part[*itemShare]{Value: s, Order: ^m.arrived} // the one that came first is the first to go
		m.pool.Add(caller, &s.part)
		m.pool.Pin(&s.part, s.stop == nil)
	}
	s.taken += n
	m.pool.Grow(&s.part, int64(n))
	m.used.Store(m.pool.Size().Bytes)
}

// full says whether there is room for nothing more of a caller's, for a request without an item yet; who asks is turned away, and counted.
func (m *itemMemory) full(caller string) bool {
	if m.used.Load() < m.limit-m.limit/reservedShare { // the usual case, without a lock
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.pool.Plan(caller, shares.Size{Bytes: 1}, m.boundLocked(caller, new(itemShare), 1)); ok {
		return false
	}
	m.refused.Add(1)
	return true
}

// giveBack counts nothing more for a request, and stops it no more.
func (m *itemMemory) giveBack(s *itemShare) {
	if s.taken == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.stop = nil
	m.pool.Remove(&s.part)
	m.used.Store(m.pool.Size().Bytes)
}

// evictable says that a request begins to wait, and makes room for others from now on: stop is called once then, and has
// to end the waiting without waiting itself. With false the request has made room before, and has to end.
func (m *itemMemory) evictable(s *itemShare, stop func(*itemShare)) bool {
	if s.taken == 0 {
		s.stop = stop
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.stop = stop
	if s.evicted {
		return false
	}
	m.pool.Pin(&s.part, false)
	return true
}

// pin says that the waiting is over. With false the request has made room, and has to end.
func (m *itemMemory) pin(s *itemShare) bool {
	if s.taken == 0 {
		s.stop = nil
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.stop = nil
	m.pool.Pin(&s.part, true)
	return !s.evicted
}

// isEvicted reports whether the request had to make room.
func (m *itemMemory) isEvicted(s *itemShare) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.evicted
}

func (m *itemMemory) stats() MemoryStats {
	return MemoryStats{Bytes: m.used.Load(), Refused: m.refused.Load(), Evicted: m.evicted.Load()}
}

func (m *itemMemory) fullError() error {
	return &problemError{kindOverloaded, fmt.Sprintf("items of %d bytes are in memory already", m.limit)}
}

// firstRoom is how many bytes of an item there is room for when the first has come.
const firstRoom = 1 << 10

// endCall ends the waiting at the store, or for it.
func endCall(s *itemShare) { s.end() }

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// What ends the waiting for a client. A recorder has no deadlines, and nobody waits for it.
func stopReading(s *itemShare) { _ = http.NewResponseController(s.w).SetReadDeadline(longAgo) }
func stopWriting(s *itemShare) { _ = http.NewResponseController(s.w).SetWriteDeadline(longAgo) }

// readItem is readBody for a caller whose body makes room for others while it is read.
func (m *itemMemory) readItem(w http.ResponseWriter, r *http.Request, caller string, s *itemShare, limit int) ([]byte, error) {
	s.w = w
	m.evictable(s, stopReading)
	body, err := m.readBody(r, caller, s, limit)
	if !m.pin(s) {
		return nil, m.fullError()
	}
	return body, err
}

// writesItem says that a request answers with an item, and makes room for others while its client takes it, until stays or giveBack.
func (m *itemMemory) writesItem(w http.ResponseWriter, s *itemShare) {
	s.w = w // nobody reads it while there is no stop
	m.evictable(s, stopWriting)
}

// readBody reads the item into memory that grows with what has come: none before the first byte,
// and then at most four times as much. An item above
// the limit takes no memory, and is refused unread where the client asked before
// sending it. What it takes for the caller has to be given back.
func (m *itemMemory) readBody(r *http.Request, caller string, s *itemShare, limit int) (body []byte, err error) {
	size := r.ContentLength // net/http hands out no more than this; negative: not announced
	switch {
	case size == 0:
		return nil, nil
	case size > int64(limit):
		discard(r)
		return nil, &session.TooLargeError{Limit: limit}
	case size < 0:
		size = int64(limit) + 1 // one more tells too much from just enough
	}
	if m.full(caller) { // before the client is told to send it
		return nil, m.fullError()
	}
	body = make([]byte, 1)
	filled, err := io.ReadFull(r.Body, body)
	switch {
	case err == io.EOF && r.ContentLength < 0:
		return nil, nil
	case err != nil:
		return nil, badBody(err)
	}
	for taken, room := 0, int(min(size, firstRoom)); ; {
		if !m.take(caller, s, room-taken) {
			return nil, m.fullError()
		}
		taken = room
		grown := make([]byte, room)
		copy(grown, body[:filled])
		body = grown
		n, err := io.ReadFull(r.Body, body[filled:])
		filled += n
		switch {
		case r.ContentLength < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF):
			return body[:filled], nil
		case err != nil:
			return nil, badBody(err)
		case filled > limit:
			discard(r)
			return nil, &session.TooLargeError{Limit: limit}
		case int64(filled) == size:
			return body, nil
		}
		room = int(min(size, int64(room)*4))
	}
}
