package proxy

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// requestLife is how long the content of a request is remembered: as long as the database remembers the operations of
// a removed session.
const requestLife = 10 * time.Minute

// requestMemory remembers the contents of the requests with an Idempotency-Key that this process has served. It refuses
// a request with the same key and another content, which would otherwise get the answer of the first one. A session's
// row has room for operation ids only, so the other proxies of the fleet do not know the contents.
//
// A request is remembered from begin until requestLife is over. If nothing of it was applied, it is forgotten when it
// ends: a corrected request may then use the key. Each operation has one content, and any number of calls.
//
// Operations are spread over shards, so that requests do not share one lock. If a shard is full, the oldest operation of
// the caller with the most is forgotten. An operation takes about 120 bytes. Any number of goroutines may use it.
type requestMemory struct {
	seed   maphash.Seed
	start  time.Time
	shards []requestShard // empty: nothing is remembered

	forgotten atomic.Uint64
}

// requestShard has the operations whose ids have the same beginning.
type requestShard struct {
	limit int

	mu      sync.Mutex
	known   map[session.OperationID]*keptRequest // owned by mu, and the requests too
	callers map[string]*keptLine                 // owned by mu; no line is empty
}

// keptRequest is the content of an operation.
type keptRequest struct {
	id      session.OperationID
	content uint64        // keyed hash of the request's content
	at      time.Duration // time from start to the beginning of its newest call
	calls   int32         // calls in progress
	kept    bool          // a call has ended that was applied, or may have been

	line       *keptLine // nil: the operation is forgotten
	prev, next *keptRequest
}

// keptLine has one caller's operations in a ring. root.next is the operation that has been longest without a call.
type keptLine struct {
	caller string
	n      int
	root   keptRequest
}

// requestShards is the number of shards. If the limit is so small that a shard would have room for fewer operations than
// this, there is only one.
const requestShards = 16

func newRequestMemory(limit int) *requestMemory {
	m := &requestMemory{seed: maphash.MakeSeed(), start: time.Now()}
	switch {
	case limit <= 0:
		return m
	case limit < requestShards*requestShards:
		m.shards = make([]requestShard, 1)
	default:
		m.shards = make([]requestShard, requestShards)
	}
	for i := range m.shards {
		m.shards[i] = requestShard{
			limit: limit / len(m.shards),
			known: make(map[session.OperationID]*keptRequest), callers: make(map[string]*keptLine),
		}
	}
	return m
}

// remembered is a request in the memory, from begin to end.
type remembered struct {
	shard   *requestShard
	request *keptRequest
}

// begin records a request. It returns errMismatch if the request's operation has another content.
func (m *requestMemory) begin(caller string, id session.OperationID, content uint64) (remembered, error) {
	if len(m.shards) == 0 {
		return remembered{}, nil
	}
	sh := &m.shards[int(id[0])%len(m.shards)]
	now := time.Since(m.start)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	q := sh.known[id]
	if q != nil && q.calls == 0 && q.expired(now) {
		sh.forget(q)
		q = nil
	}
	switch {
	case q == nil:
		q = &keptRequest{id: id, content: content}
		m.forgotten.Add(sh.makeRoom(now))
		sh.known[id] = q
	case q.content != content:
		return remembered{}, errMismatch
	default:
		q.unlink()
	}
	q.at = now
	q.calls++
	sh.append(caller, q)
	for range 2 { // two for each one that is added, so that all expired ones are removed in time
		if oldest := q.line.root.next; oldest.expired(now) {
			sh.forget(oldest)
		}
	}
	return remembered{sh, q}, nil
}

// errMismatch is the error of a request that uses the key of another one. The request was not applied.
var errMismatch = &problemError{kindMismatch, "a request with this Idempotency-Key had another body, timeout, lock, condition or parameter, and was applied or may have been; " +
	"send the same request again to learn its outcome, and give a new request a key of its own"}

// end records that the call has ended. applied means that it was applied, or may have been.
func (r remembered) end(applied bool) {
	if r.shard == nil {
		return
	}
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	q := r.request
	q.calls--
	q.kept = q.kept || applied
	if q.calls == 0 && !q.kept && q.line != nil {
		r.shard.forget(q)
	}
}

// expired reports whether the operation's life has ended.
func (q *keptRequest) expired(now time.Duration) bool { return now-q.at >= requestLife }

// makeRoom forgets expired operations, and then the oldest operations of the callers with the most, until there is room
// for one more. It returns the number of operations that it forgot before their time.
func (sh *requestShard) makeRoom(now time.Duration) (early uint64) {
	if len(sh.known) < sh.limit {
		return 0
	}
	for _, l := range sh.callers {
		for q := l.root.next; q != &l.root && q.expired(now); q = l.root.next {
			sh.forget(q) // the line may be removed, but keeps its root
		}
	}
	for len(sh.known) >= sh.limit {
		var longest *keptLine
		for _, l := range sh.callers {
			if longest == nil || l.n > longest.n {
				longest = l
			}
		}
		sh.forget(longest.root.next)
		early++
	}
	return early
}

// append adds an operation at the end of its caller's line.
func (sh *requestShard) append(caller string, q *keptRequest) {
	l := sh.callers[caller]
	if l == nil {
		l = &keptLine{caller: caller}
		l.root.next, l.root.prev = &l.root, &l.root
		sh.callers[caller] = l
	}
	q.line, q.prev, q.next = l, l.root.prev, &l.root
	q.prev.next, l.root.prev = q, q
	l.n++
}

// unlink removes an operation from its line.
func (q *keptRequest) unlink() {
	q.prev.next, q.next.prev = q.next, q.prev
	q.line.n--
}

// forget removes an operation from the shard.
func (sh *requestShard) forget(q *keptRequest) {
	q.unlink()
	if q.line.n == 0 {
		delete(sh.callers, q.line.caller)
	}
	q.line = nil
	delete(sh.known, q.id)
}

// len returns how many operations are remembered.
func (m *requestMemory) len() (n int64) {
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		n += int64(len(sh.known))
		sh.mu.Unlock()
	}
	return n
}

// contentOf returns the keyed hash of a call's content: the body, and each header and parameter that changes the effect.
// ?wait= does not change it.
func (m *requestMemory) contentOf(c *call) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, key := range [...]string{"Session-Timeout", "Session-Lock", "If-Match", "If-None-Match"} {
		hashList(&h, c.r.Header[key])
	}
	for _, key := range [...]string{"keep", createParameter, "locked"} {
		hashList(&h, c.query[key])
	}
	h.Write(c.body)
	return h.Sum64()
}

// hashList adds values to h, so that different lists give different bytes.
func hashList(h *maphash.Hash, values []string) {
	hashLength(h, len(values))
	for _, v := range values {
		hashLength(h, len(v))
		h.WriteString(v)
	}
}

func hashLength(h *maphash.Hash, n int) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	h.Write(b[:])
}
