package fairshare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// pool returns a pool with one part for each word: a caller, a colon, the part's bytes, and ! if it is pinned.
func pool(words string) *Pool[string] {
	p := new(Pool[string])
	for i, w := range strings.Fields(words) {
		caller, size, pinned := parse(w)
		part := &Part[string]{Value: w, Bytes: size, Order: uint64(i)}
		p.Add(caller, part)
		p.Pin(part, pinned)
	}
	return p
}

func parse(word string) (caller string, bytes int64, pinned bool) {
	pinned = strings.HasSuffix(word, "!")
	caller, size, _ := strings.Cut(strings.TrimSuffix(word, "!"), ":")
	fmt.Sscan(size, &bytes)
	return caller, bytes, pinned
}

func TestPool_Room(t *testing.T) {
	for _, c := range []struct {
		name, in, asks, limit string
		gone                  string
		short                 Bound // if there can't be room
	}{
		{"there is room", "a:1 a:2", "a:3", "3:6", "", Enough},
		{"one caller has the whole pool", "a:1 a:1 a:1", "a:1", "3:99", "", Count},
		{"a new caller gets it from the largest share", "a:1 b:1 a:2 a:3", "c:1", "4:99", "a:3", Enough},
		{"the caller with the largest share is refused", "a:1 b:1 a:2 a:3", "a:1", "4:99", "", Count},
		{"two callers do not take from each other in turn", "a:1 b:1 a:1 b:1 a:1", "b:1", "5:99", "", Count},
		{"by bytes, not by the number of parts", "a:60 b:1 b:2 b:3", "b:9", "9:66", "a:60", Enough},
		{"as many parts as necessary", "a:4 a:4 a:4 b:4 b:3", "c:7", "9:19", "a:4 a:4", Enough},
		{"the larger of two shares, in turn", "a:4 a:4 a:4 b:4 b:4 b:4", "c:6", "9:24", "a:4 b:4", Enough},
		{"not from a share that is smaller than the new one", "a:10 b:10", "c:11", "9:20", "", Bytes},
		{"no part is removed in vain", "a:5 a:5 b:5", "c:9", "9:15", "", Bytes},
		{"a part without bytes would not help", "a:9 a:0", "c:1", "9:9", "a:9", Enough},
		{"a pinned part stays", "a:3 a:4! b:4", "c:1", "9:11", "a:3", Enough},
		{"the next largest share, if all parts of the largest are pinned", "a:9! b:4", "c:1", "9:13", "b:4", Enough},
		{"both bounds", "a:4 a:0 a:0", "c:2", "3:5", "a:0 a:4", Enough},
		{"no bound on the number of parts", "a:1 a:1", "c:1", "0:2", "a:1", Enough},
	} {
		p := pool(c.in)
		caller, bytes, _ := parse(c.asks)
		var limit Size
		fmt.Sscanf(c.limit, "%d:%d", &limit.Count, &limit.Bytes)
		before, short := p.Size(), p.Short(Size{1, bytes}, limit)
		parts, ok := p.Room(caller, Size{1, bytes}, limit)
		if ok {
			if short != Enough && len(parts) == 0 {
				t.Errorf("%s: short of %q, but Room succeeded and removed no part", c.name, short)
			}
			short = Enough
		}
		var gone []string
		for _, part := range parts {
			gone = append(gone, part.Value)
			if part.In() {
				t.Errorf("%s: %s is still in the pool", c.name, part.Value)
			}
		}
		if got := strings.Join(gone, " "); got != c.gone || short != c.short {
			t.Errorf("%s: removed %q, short of %q; want %q and %q", c.name, got, short, c.gone, c.short)
		}
		if len(gone) == 0 && p.Size() != before {
			t.Errorf("%s: no part was removed, but the pool changed", c.name)
		}
	}
}

func TestPool_Turns(t *testing.T) {
	p := pool("a:1 a:2 a:3 b:4 c:5 b:6")
	var order []string
	for part := p.Next(); part != nil; part = p.Next() {
		p.Remove(part)
		p.Remove(part) // the second call changes nothing
		order = append(order, part.Value)
	}
	if want := []string{"a:1", "b:4", "c:5", "a:2", "b:6", "a:3"}; !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
	if p.Size() != (Size{}) || len(p.shares) != 0 || len(p.turns) != 0 {
		t.Errorf("the pool is not empty: %+v", p)
	}
}

// A part that comes back has its old place: parts with a higher Order are removed first.
func TestPool_Order(t *testing.T) {
	var p Pool[int]
	for _, order := range []uint64{5, 7, 6, 1, 7} {
		p.Add("a", &Part[int]{Value: int(order), Order: order})
	}
	var got []int
	for part := p.shares["a"].oldest; part != nil; part = part.newer {
		got = append(got, part.Value)
	}
	var back []int
	for part := p.shares["a"].newest; part != nil; part = part.older {
		back = append(back, part.Value)
	}
	slices.Reverse(back)
	if want := []int{1, 5, 6, 7, 7}; !slices.Equal(got, want) || !slices.Equal(back, want) {
		t.Errorf("in the order %v, backwards %v, want %v", got, back, want)
	}
}

// After any sequence of calls the sum of the shares is the pool's size. A caller that loses parts had more than the
// caller that gets the room.
func TestPool_Properties(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 15))
		var p Pool[string]
		limit := Size{1 + r.IntN(12), 1 + r.Int64N(100)}
		in := make(map[*Part[string]]bool)
		for step := range 300 {
			caller := string(rune('a' + r.IntN(4)))
			switch action := r.IntN(10); {
			case action < 6:
				part := &Part[string]{Value: caller, Bytes: r.Int64N(30), Order: r.Uint64N(20)}
				askRoom(t, &p, in, part, limit)
			case action < 8:
				for part := range in {
					p.Remove(part)
					delete(in, part)
					break
				}
			case action < 9:
				for part := range in {
					p.Grow(part, r.Int64N(5))
					break
				}
			default:
				for part := range in {
					p.Pin(part, r.IntN(2) == 0)
					break
				}
			}
			if checkSums(t, &p, in); t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

// askRoom adds a part if there is room, and checks which callers lost parts for it.
func askRoom(t *testing.T, p *Pool[string], in map[*Part[string]]bool, part *Part[string], limit Size) {
	t.Helper()
	more := Size{1, part.Bytes}
	shares, will := make(map[string]Size), p.Share(part.Value)
	for other := range in {
		shares[other.Value] = p.Share(other.Value)
	}
	will.Count++
	will.Bytes += part.Bytes
	short := p.Short(more, limit)
	gone, ok := p.Room(part.Value, more, limit)
	if short == Enough && (len(gone) != 0 || !ok) {
		t.Errorf("there was room, but Room removed %d parts (ok %t)", len(gone), ok)
	}
	if !ok {
		if len(gone) != 0 {
			t.Errorf("refused, but Room removed %d parts", len(gone))
		}
		return
	}
	for _, g := range gone {
		had := shares[g.Value]
		if g.pinned || g.Value == part.Value || had.Count <= will.Count && had.Bytes <= will.Bytes {
			t.Errorf("%s with %+v lost a part to %s with %+v; pinned %t", g.Value, had, part.Value, will, g.pinned)
		}
		delete(in, g)
	}
	if s := p.Size(); s.Count+1 > limit.Count || s.Bytes+part.Bytes > limit.Bytes {
		t.Errorf("the pool has %+v; %+v more exceeds %+v", s, more, limit)
	}
	p.Add(part.Value, part)
	in[part] = true
}

// checkSums compares the pool with what should be in it.
func checkSums(t *testing.T, p *Pool[string], in map[*Part[string]]bool) {
	t.Helper()
	var all Size
	want := make(map[string]Size)
	for part := range in {
		s := want[part.Value]
		want[part.Value] = Size{s.Count + 1, s.Bytes + part.Bytes}
		all = Size{all.Count + 1, all.Bytes + part.Bytes}
	}
	if p.Callers() != len(want) {
		t.Errorf("%d callers have parts, want %d", p.Callers(), len(want))
	}
	for part := range in {
		if part.Share() != want[part.Value] {
			t.Errorf("%s has %+v, want %+v", part.Value, part.Share(), want[part.Value])
		}
	}
	var sum Size
	for caller, s := range p.shares {
		sum = Size{sum.Count + s.size.Count, sum.Bytes + s.size.Bytes}
		if s.size != want[caller] {
			t.Errorf("%s has %+v, want %+v", caller, s.size, want[caller])
		}
	}
	if p.Size() != all || sum != all || len(p.shares) != len(want) || len(p.turns) != len(want) {
		t.Errorf("the pool has %+v, its %d shares %+v; want %d and %+v", p.Size(), len(p.shares), sum, len(want), all)
	}
}
