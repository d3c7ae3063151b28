// Package fairshare counts the parts and bytes that each caller has in a bounded pool, and decides which caller loses
// parts when the pool is full.
//
// One caller alone may have the whole pool. When the pool is full and a caller asks for more, the caller with the
// largest share loses parts, the newest first. This happens only while the new share of the asking caller is smaller
// than the other share. So a caller that has the largest share itself is refused. Two callers never take from each
// other in turn. A caller with a small share is refused only if all shares are small.
//
// A call of Pool costs a look-up in a map. Only Room and Plan on a full pool visit every caller, and the parts
// of the callers that lose some. The package has no lock: the owner of a pool must have one.
package fairshare

// Size is a number of parts, and the bytes of those.
type Size struct {
	Count int
	Bytes int64
}

// Bound is the limit that a pool would exceed.
type Bound string

// The bounds.
const (
	Enough Bound = "" // none: there is room
	Count  Bound = "size"
	Bytes  Bound = "bytes"
)

// of returns the value in s that the bound limits.
func (b Bound) of(s Size) int64 {
	if b == Count {
		return int64(s.Count)
	}
	return s.Bytes
}

// Part is the part of a pool that one call has. The caller of Add sets the exported fields before the call, and does
// not change them while the part is in the pool.
type Part[T any] struct {
	Value T      // with this handle the owner makes the call give its part back
	Bytes int64  // changed by Grow only
	Order uint64 // sorts the parts of one caller; equal ones keep the order of Add

	share        *share[T] // nil: the part is in no pool
	pinned       bool
	older, newer *Part[T]
}

// In reports whether the part is in a pool: false before Add, after Remove, and after Room removed it.
func (p *Part[T]) In() bool { return p.share != nil }

// Share returns the size of all parts of this part's caller. It is zero while the part is in no pool.
func (p *Part[T]) Share() Size {
	if p.share == nil {
		return Size{}
	}
	return p.share.size
}

// share holds the parts of one caller. It has at least one.
type share[T any] struct {
	caller         string
	size           Size
	oldest, newest *Part[T]

	left Size     // used by Plan: the size without the parts it has chosen
	next *Part[T] // used by Plan: the newest part that it may choose next; nil: none
}

// Pool holds the parts of all callers. The zero value is an empty pool. It is not safe for concurrent use.
type Pool[T any] struct {
	size   Size
	shares map[string]*share[T]
	turns  []*share[T] // the same shares, in the order in which Next serves them
	spare  *share[T]   // an empty share for the next new caller; saves an allocation
}

// Size returns the size of all parts in the pool.
func (p *Pool[T]) Size() Size { return p.size }

// Share returns the size of one caller's parts.
func (p *Pool[T]) Share(caller string) Size {
	if s := p.shares[caller]; s != nil {
		return s.size
	}
	return Size{}
}

// Callers returns the number of callers that have parts.
func (p *Pool[T]) Callers() int { return len(p.turns) }

// Add puts a part into the pool. It does not check whether there is room.
func (p *Pool[T]) Add(caller string, part *Part[T]) {
	s := p.shares[caller]
	if s == nil {
		if p.shares == nil {
			p.shares = make(map[string]*share[T])
		}
		if s, p.spare = p.spare, nil; s == nil {
			s = new(share[T])
		}
		s.caller = caller
		p.shares[caller] = s
		p.turns = append(p.turns, s)
	}
	part.share, part.pinned = s, false
	s.link(part)
	p.add(s, Size{1, part.Bytes})
}

// add adds more to the sizes of the share and the pool.
func (p *Pool[T]) add(s *share[T], more Size) {
	s.size.Count += more.Count
	s.size.Bytes += more.Bytes
	p.size.Count += more.Count
	p.size.Bytes += more.Bytes
}

// link inserts a part at the place of its Order. Most parts are newer than all others, and a part that comes
// back is older than most. So link searches from both ends.
func (s *share[T]) link(part *Part[T]) {
	older := s.newest
	if older != nil && older.Order > part.Order {
		older = nil
		for at := s.oldest; at.Order <= part.Order; at = at.newer {
			older = at
		}
	}
	newer := s.oldest
	if older != nil {
		newer, older.newer = older.newer, part
	} else {
		s.oldest = part
	}
	if newer != nil {
		newer.older = part
	} else {
		s.newest = part
	}
	part.older, part.newer = older, newer
}

// Remove takes a part out of the pool. It does nothing if the part is in no pool.
func (p *Pool[T]) Remove(part *Part[T]) {
	s := part.share
	if s == nil {
		return
	}
	if part.older != nil {
		part.older.newer = part.newer
	} else {
		s.oldest = part.newer
	}
	if part.newer != nil {
		part.newer.older = part.older
	} else {
		s.newest = part.older
	}
	part.share, part.older, part.newer = nil, nil, nil
	p.add(s, Size{-1, -part.Bytes})
	if s.oldest == nil {
		p.forget(s)
	}
}

// forget removes an empty share.
func (p *Pool[T]) forget(s *share[T]) {
	delete(p.shares, s.caller)
	p.spare = s
	s.caller, s.next = "", nil
	for i, other := range p.turns {
		if other == s {
			copy(p.turns[i:], p.turns[i+1:])
			p.turns[len(p.turns)-1] = nil
			p.turns = p.turns[:len(p.turns)-1]
			return
		}
	}
}

// Grow adds to a part's bytes. It does not check whether there is room.
func (p *Pool[T]) Grow(part *Part[T], bytes int64) {
	part.Bytes += bytes
	p.add(part.share, Size{0, bytes})
}

// Pin sets whether Room must leave the part in the pool. After Add it need not.
func (p *Pool[T]) Pin(part *Part[T], stays bool) { part.pinned = stays }

// Next returns the oldest part of the caller whose turn it is; the next turn is another caller's. It returns nil if
// the pool is empty. The part stays in the pool.
func (p *Pool[T]) Next() *Part[T] {
	if len(p.turns) == 0 {
		return nil
	}
	s := p.turns[0]
	copy(p.turns, p.turns[1:])
	p.turns[len(p.turns)-1] = s
	return s.oldest
}

// over returns by how much the pool and more together exceed limit. Zero in limit means unlimited.
func (p *Pool[T]) over(more, limit Size) (over Size) {
	if limit.Count > 0 {
		over.Count = p.size.Count + more.Count - limit.Count
	}
	if limit.Bytes > 0 {
		over.Bytes = p.size.Bytes + more.Bytes - limit.Bytes
	}
	return over
}

// short returns the first bound that is exceeded.
func (over Size) short() Bound {
	switch {
	case over.Count > 0:
		return Count
	case over.Bytes > 0:
		return Bytes
	}
	return Enough
}

// Short returns the bound that the pool and more together would exceed. Zero in limit means unlimited. If they would
// exceed both, it returns Count.
func (p *Pool[T]) Short(more, limit Size) Bound { return p.over(more, limit).short() }

// Room makes room within limit for more, which caller asks for. Zero in limit means unlimited. It removes parts of
// other callers from the pool and returns them. If it can't make enough room, ok is false and the pool is unchanged.
func (p *Pool[T]) Room(caller string, more, limit Size) (gone []*Part[T], ok bool) {
	gone, ok = p.Plan(caller, more, limit)
	for _, part := range gone {
		p.Remove(part)
	}
	return gone, ok
}

// Plan returns what Room would return, and changes nothing.
func (p *Pool[T]) Plan(caller string, more, limit Size) (gone []*Part[T], ok bool) {
	over := p.over(more, limit)
	if over.short() == Enough {
		return nil, true
	}
	for _, s := range p.turns {
		s.left, s.next = s.size, s.newest
	}
	after := p.Share(caller)
	after.Count += more.Count
	after.Bytes += more.Bytes
	for short := over.short(); short != Enough; short = over.short() {
		s := p.largest(caller, short, short.of(after))
		if s == nil {
			return nil, false
		}
		part := s.next
		s.next = part.older
		s.left.Count--
		s.left.Bytes -= part.Bytes
		over.Count--
		over.Bytes -= part.Bytes
		gone = append(gone, part)
	}
	return gone, true
}

// largest returns the share with the most parts or bytes left, as by says. It considers only shares that have more left
// than the asking caller would have (after), and that have a part which may be removed. nil: there is no such share.
func (p *Pool[T]) largest(asks string, by Bound, after int64) (largest *share[T]) {
	for _, s := range p.turns {
		if left := by.of(s.left); left > after && s.caller != asks && s.skipUnremovable(by) {
			largest, after = s, left
		}
	}
	return largest
}

// skipUnremovable moves next to a part that may be removed and whose removal makes room. It reports whether there is
// one.
func (s *share[T]) skipUnremovable(by Bound) bool {
	for s.next != nil && (s.next.pinned || by == Bytes && s.next.Bytes == 0) {
		s.next = s.next.older
	}
	return s.next != nil
}
