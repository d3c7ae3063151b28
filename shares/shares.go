// Package shares keeps what each caller has of a bounded pool, in number and in bytes, and decides who
// makes room when the pool is full.
//
// One caller alone may have all of a pool. Who asks for more when it is full gets it from the caller that
// has the largest share, newest part first, as long as the one who asks has less, what it asks for included.
// So whoever has the largest share itself is refused, two callers never take from each other in turn, and a
// caller with little is refused only where everybody has little.
//
// A call of Pool costs a look-up in a map. Only Room on a full pool looks at every caller, and at the
// parts of those that make room. The package has no lock: a pool belongs to its owner's.
package shares

// Size is a number of parts, and the bytes of those.
type Size struct {
	Count int
	Bytes int64
}

// Bound names what a pool is short of.
type Bound string

// The bounds.
const (
	Enough Bound = "" // there is room
	Count  Bound = "size"
	Bytes  Bound = "bytes"
)

// of is a size's measure.
func (b Bound) of(s Size) int64 {
	if b == Count {
		return int64(s.Count)
	}
	return s.Bytes
}

// Part is what one call has of a pool. Whoever adds it sets the exported fields first, and does not
// change them while it is in.
type Part[T any] struct {
	Value T      // what makes the call give its part back
	Bytes int64  // changed by Grow only
	Order uint64 // parts of one caller are in this order, equal ones as they came

	share        *share[T] // nil: in no pool
	pinned       bool
	older, newer *Part[T]
}

// In reports whether the part is in a pool: not before Add, not after Remove, and not once it made room.
func (p *Part[T]) In() bool { return p.share != nil }

// Share is what its caller has of the pool; nothing while it is in none.
func (p *Part[T]) Share() Size {
	if p.share == nil {
		return Size{}
	}
	return p.share.size
}

// share is one caller's. It has at least one part.
type share[T any] struct {
	caller         string
	size           Size
	oldest, newest *Part[T]

	left Size     // while Room looks: without the parts that are to go
	next *Part[T] // the newest that may go after those; nil: none
}

// Pool is what callers have of something. The zero value is an empty one. Not safe for concurrent use.
type Pool[T any] struct {
	size   Size
	shares map[string]*share[T]
	turns  []*share[T] // the same: who is next
	spare  *share[T]   // for the next caller that comes
}

// Size is what all callers have.
func (p *Pool[T]) Size() Size { return p.size }

// Share is what one caller has.
func (p *Pool[T]) Share(caller string) Size {
	if s := p.shares[caller]; s != nil {
		return s.size
	}
	return Size{}
}

// Callers is how many have something.
func (p *Pool[T]) Callers() int { return len(p.turns) }

// Add puts a part into the pool, whether there is room or not.
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

// add counts.
func (p *Pool[T]) add(s *share[T], more Size) {
	s.size.Count += more.Count
	s.size.Bytes += more.Bytes
	p.size.Count += more.Count
	p.size.Bytes += more.Bytes
}

// link puts a part where its order has it. Most are newer than all, and those that come back older
// than most; so it looks from both ends.
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

// Remove takes a part out. One that is in no pool is left alone.
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

// forget drops a share that is empty.
func (p *Pool[T]) forget(s *share[T]) {
	delete(p.shares, s.caller)
	p.spare = s // it is empty
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

// Grow adds to a part's bytes, whether there is room or not.
func (p *Pool[T]) Grow(part *Part[T], bytes int64) {
	part.Bytes += bytes
	p.add(part.share, Size{0, bytes})
}

// Pin says whether a part stays whoever asks for room. A part that was just added may go.
func (p *Pool[T]) Pin(part *Part[T], stays bool) { part.pinned = stays }

// Next gives the oldest part of the caller whose turn it is, and the next turn to another; nil: the
// pool is empty. The part stays in.
func (p *Pool[T]) Next() *Part[T] {
	if len(p.turns) == 0 {
		return nil
	}
	s := p.turns[0]
	copy(p.turns, p.turns[1:])
	p.turns[len(p.turns)-1] = s
	return s.oldest
}

// over is what more would be beyond limit, of which zero is no bound.
func (p *Pool[T]) over(more, limit Size) (over Size) {
	if limit.Count > 0 {
		over.Count = p.size.Count + more.Count - limit.Count
	}
	if limit.Bytes > 0 {
		over.Bytes = p.size.Bytes + more.Bytes - limit.Bytes
	}
	return over
}

// short is what is beyond.
func (over Size) short() Bound {
	switch {
	case over.Count > 0:
		return Count
	case over.Bytes > 0:
		return Bytes
	}
	return Enough
}

// Short says what the pool has not enough of for more, within limit, of which zero is no bound. Where it is short
// of both it says Count.
func (p *Pool[T]) Short(more, limit Size) Bound { return p.over(more, limit).short() }

// Room makes room for more of a caller's, within limit, of which zero is no bound. It gives the parts that
// have made it; they are out of the pool already. Where there can't be room, nothing has changed.
func (p *Pool[T]) Room(caller string, more, limit Size) (gone []*Part[T], ok bool) {
	gone, ok = p.Plan(caller, more, limit)
	for _, part := range gone {
		p.Remove(part)
	}
	return gone, ok
}

// Plan says what Room would do, and changes nothing.
func (p *Pool[T]) Plan(caller string, more, limit Size) (gone []*Part[T], ok bool) {
	over := p.over(more, limit)
	if over.short() == Enough {
		return nil, true
	}
	for _, s := range p.turns {
		s.left, s.next = s.size, s.newest
	}
	will := p.Share(caller)
	will.Count += more.Count
	will.Bytes += more.Bytes
	for short := over.short(); short != Enough; short = over.short() {
		s := p.largest(caller, short, short.of(will))
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

// largest is the share that has most left by a measure, of those that have more than the one who asks will
// have, and something that may go.
func (p *Pool[T]) largest(asks string, by Bound, will int64) (largest *share[T]) {
	for _, s := range p.turns {
		if left := by.of(s.left); left > will && s.caller != asks && s.goes(by) {
			largest, will = s, left
		}
	}
	return largest
}

// goes moves next to a part that may go, and whose going helps. It says whether there is one.
func (s *share[T]) goes(by Bound) bool {
	for s.next != nil && (s.next.pinned || by == Bytes && s.next.Bytes == 0) {
		s.next = s.next.older
	}
	return s.next != nil
}
