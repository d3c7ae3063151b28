package proxy

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/session"
)

// MemoryStats counts the bytes of items that requests have in memory.
type MemoryStats struct {
	Bytes   int64  // now
	Refused uint64 // requests refused because there was no room
	Evicted uint64 // requests that were ended to make room for a caller with less in memory
}

// itemMemory bounds the bytes of items in memory, of requests and of answers. Bytes that a client announces count only
// when they arrive. Otherwise a few clients that announce large items and send nothing could block all others.
//
// If the memory is full and a caller needs room, requests of a caller with more bytes in memory are evicted: their items
// are dropped and the requests end. Only requests that wait can be evicted: for their client, for a place at the store,
// for a lock, or at the store for a principal or a connection. The oldest are evicted first, because their clients are
// the most likely not to read or send. A request that the store has sent is pinned: the store asks for its
// [session.Permission] before it sends.
//
// Pinned items must leave room for other callers. So a caller with more than one item and more than a sixteenth of the
// limit may use only seven eighths of it.
//
// A request without an item costs nothing. A request with an item takes a mutex four or five times, and once more each
// time its item has grown fourfold. Any number of goroutines may use an itemMemory.
type itemMemory struct {
	limit            int64
	used             atomic.Int64 // the bytes in the pool; written under mu
	refused, evicted atomic.Uint64

	mu      sync.Mutex // guards the pool and all itemShares; never held during I/O
	pool    fairshare.Pool[*itemShare]
	arrived uint64 // number of shares added so far
}

// itemShare is what one request has in memory. The zero value has nothing.
type itemShare struct {
	taken int // bytes; owned by the request's goroutine; while it is 0, no other goroutine has the share

	part    fairshare.Part[*itemShare]
	w       http.ResponseWriter // the request's, for stop
	stop    func(*itemShare)    // ends the wait of the request; nil: the request is pinned
	end     func()              // ends the request's context, for endCall; nil: the request cannot be evicted
	evicted bool                // another request got its room, and it must end
}

// take counts n more bytes for a caller. It returns false, and counts nothing, if there is no room for them.
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

// takeAlways counts n more bytes even if there is no room for them: they are in memory already, and the call that read
// them cannot be undone.
func (m *itemMemory) takeAlways(caller string, s *itemShare, n int) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roomLocked(caller, s, n)
	m.addLocked(caller, s, n) // the share is not evicted: the store has pinned it
}

// Divisors of the limit.
const (
	reservedShare = 8  // that part is kept for callers with few bytes in memory
	largeShare    = 16 // a caller with more than that part has many bytes in memory
)

// boundLocked returns the limit for n more bytes of a request. If callers are not authenticated, nothing is reserved.
func (m *itemMemory) boundLocked(caller string, s *itemShare, n int) fairshare.Size {
	has := m.pool.Share(caller).Bytes
	if caller == "" || has == int64(s.taken) || has+int64(n) <= m.limit/largeShare {
		return fairshare.Size{Bytes: m.limit}
	}
	return fairshare.Size{Bytes: m.limit - m.limit/reservedShare}
}

// roomLocked makes room for n bytes of a caller, if another caller has more.
func (m *itemMemory) roomLocked(caller string, s *itemShare, n int) bool {
	gone, ok := m.pool.Room(caller, fairshare.Size{Bytes: int64(n)}, m.boundLocked(caller, s, n))
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
		s.part = fairshare.Part[*itemShare]{Value: s, Order: ^m.arrived} // the oldest is evicted first
		m.pool.Add(caller, &s.part)
		m.pool.Pin(&s.part, s.stop == nil)
	}
	s.taken += n
	m.pool.Grow(&s.part, int64(n))
	m.used.Store(m.pool.Size().Bytes)
}

// full reports whether there is no room for a further item of a caller. It counts the request as refused then.
func (m *itemMemory) full(caller string) bool {
	if m.used.Load() < m.limit-m.limit/reservedShare { // the usual case, without a lock
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.pool.Plan(caller, fairshare.Size{Bytes: 1}, m.boundLocked(caller, new(itemShare), 1)); ok {
		return false
	}
	m.refused.Add(1)
	return true
}

// giveBack removes a request's bytes. The request can no longer be evicted.
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

// evictable records that a request begins to wait: it may be evicted from now on. An eviction calls stop, which must end
// the wait, and must not wait itself. evictable returns false if the request was evicted before and must end.
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

// pin records that the wait has ended: the request can no longer be evicted. It returns false if the request was evicted
// before and must end.
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

// isEvicted reports whether the request was evicted.
func (m *itemMemory) isEvicted(s *itemShare) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.evicted
}

func (m *itemMemory) stats() MemoryStats {
	return MemoryStats{Bytes: m.used.Load(), Refused: m.refused.Load(), Evicted: m.evicted.Load()}
}

func (m *itemMemory) fullError() error {
	return &problemError{kindOverloaded, fmt.Sprintf("requests have items of %d bytes in memory already", m.limit)}
}

// firstRoom is how many bytes of an item are allocated when its first byte has arrived.
const firstRoom = 1 << 10

// endCall ends a wait at the store or for it.
func endCall(s *itemShare) { s.end() }

// longAgo is a deadline in the past.
var longAgo = time.Unix(1, 0)

// stopReading and stopWriting end a wait for a client. A test's recorder has no deadlines, and never waits.
func stopReading(s *itemShare) { _ = http.NewResponseController(s.w).SetReadDeadline(longAgo) }
func stopWriting(s *itemShare) { _ = http.NewResponseController(s.w).SetWriteDeadline(longAgo) }

// readItem is readBody for a caller whose item may be evicted while it is read.
func (m *itemMemory) readItem(w http.ResponseWriter, r *http.Request, caller string, s *itemShare, limit int) ([]byte, error) {
	s.w = w
	m.evictable(s, stopReading)
	body, err := m.readBody(r, caller, s, limit)
	if !m.pin(s) {
		return nil, m.fullError()
	}
	return body, err
}

// writesItem records that a request answers with an item. The item may be evicted while the client reads it, until pin
// or giveBack is called.
func (m *itemMemory) writesItem(w http.ResponseWriter, s *itemShare) {
	s.w = w // no other goroutine reads it while stop is nil
	m.evictable(s, stopWriting)
}

// readBody reads the item. It allocates nothing before the first byte, and later at most four times the bytes that have
// arrived. An item above the limit takes no memory, and is refused unread if the client waits for permission to send.
// The caller must call giveBack for the bytes that it takes.
func (m *itemMemory) readBody(r *http.Request, caller string, s *itemShare, limit int) (body []byte, err error) {
	size := r.ContentLength // net/http returns no more than this; negative: not announced
	switch {
	case size == 0:
		return nil, nil
	case size > int64(limit):
		discard(r)
		return nil, &session.TooLargeError{Limit: limit}
	case size < 0:
		size = int64(limit) + 1 // one byte more shows that the item is above the limit
	}
	if m.full(caller) { // before the client gets permission to send it
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
