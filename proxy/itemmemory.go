package proxy

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/session"
)

// MemoryStats count the bytes of items that requests have in memory.
type MemoryStats struct {
	Bytes   int64  // now
	Refused uint64 // requests turned away because it was too much
}

// itemMemory bounds the bytes of items in memory, those that come and those that go. What a
// client only announces counts for nothing: otherwise a few that announce much and send
// nothing would turn everybody away. Any number of goroutines may use it.
type itemMemory struct {
	limit   int64
	used    atomic.Int64
	refused atomic.Uint64
}

// take counts n bytes more; false: there is no room for them, and they are not counted.
func (m *itemMemory) take(n int) bool {
	if m.used.Add(int64(n)) <= m.limit {
		return true
	}
	m.used.Add(int64(-n))
	m.refused.Add(1)
	return false
}

// full says whether there is room for nothing more; who asks is turned away, and counted.
func (m *itemMemory) full() bool {
	if m.used.Load() < m.limit {
		return false
	}
	m.refused.Add(1)
	return true
}

// must counts n bytes whether there is room for them or not: they are there already, and
// what was done for them can't be taken back.
func (m *itemMemory) must(n int) { m.used.Add(int64(n)) }

func (m *itemMemory) giveBack(n int) {
	if n != 0 {
		m.used.Add(int64(-n))
	}
}

func (m *itemMemory) stats() MemoryStats {
	return MemoryStats{Bytes: m.used.Load(), Refused: m.refused.Load()}
}

func (m *itemMemory) fullError() error {
	return &problemError{kindOverloaded, fmt.Sprintf("items of %d bytes are in memory already", m.limit)}
}

// firstRoom is how many bytes of an item there is room for when the first has come.
const firstRoom = 1 << 10

// readBody reads the item into memory that grows with what has come: none before the first byte,
// and then at most four times as much. An item above
// the limit takes no memory, and is refused unread where the client asked before
// sending it. taken is what was taken of m; it has to be given back.
func readBody(r *http.Request, limit int, m *itemMemory) (body []byte, taken int, err error) {
	size := r.ContentLength // net/http hands out no more than this; negative: not announced
	switch {
	case size == 0:
		return nil, 0, nil
	case size > int64(limit):
		discard(r)
		return nil, 0, &session.TooLargeError{Limit: limit}
	case size < 0:
		size = int64(limit) + 1 // one more tells too much from just enough
	}
	if m.full() { // before the client is told to send it
		return nil, 0, m.fullError()
	}
	body = make([]byte, 1)
	filled, err := io.ReadFull(r.Body, body)
	switch {
	case err == io.EOF && r.ContentLength < 0:
		return nil, 0, nil
	case err != nil:
		return nil, 0, badBody(err)
	}
	for room := int(min(size, firstRoom)); ; {
		if !m.take(room - taken) {
			return nil, taken, m.fullError()
		}
		taken = room
		grown := make([]byte, room)
		copy(grown, body[:filled])
		body = grown
		n, err := io.ReadFull(r.Body, body[filled:])
		filled += n
		switch {
		case r.ContentLength < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF):
			return body[:filled], taken, nil
		case err != nil:
			return nil, taken, badBody(err)
		case filled > limit:
			discard(r)
			return nil, taken, &session.TooLargeError{Limit: limit}
		case int64(filled) == size:
			return body, taken, nil
		}
		room = int(min(size, int64(room)*4))
	}
}
