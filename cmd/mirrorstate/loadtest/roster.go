package loadtest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// roster is the sessions under load, each in a place that its successors inherit, and
// those that were. Any number of goroutines may use it.
type roster struct {
	places []atomic.Pointer[Entry] // nil: its session could not be made

	mu   sync.Mutex
	gone []*Entry // owned by mu: without a place. Their removal was begun, or another had taken it
}

func newRoster(n int) *roster { return &roster{places: make([]atomic.Pointer[Entry], n)} }

// pickTries is how often another place is taken where a session is just being removed.
const pickTries = 4

// pick chooses a place and its session, at random.
func (r *roster) pick(random *rand.Rand) (place int, e *Entry) {
	for range pickTries {
		place = random.IntN(len(r.places))
		if e = r.places[place].Load(); e == nil || !e.Leaving() {
			break
		}
	}
	return place, e
}

// settle gives a new session its place. Where another client was quicker it has none: it is left alone, and is one of
// all nevertheless.
func (r *roster) settle(place int, e *Entry) {
	if r.places[place].CompareAndSwap(nil, e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// bury notes that a session's removal was begun, and leaves its place to another one.
func (r *roster) bury(place int, e *Entry) {
	r.places[place].Store(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// all are the sessions of now, and those without a place.
func (r *roster) all() (list []*Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.places {
		if e := r.places[i].Load(); e != nil {
			list = append(list, e)
		}
	}
	return append(list, r.gone...)
}
