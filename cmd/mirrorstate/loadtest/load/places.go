package load

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// places holds the sessions under load. Each session has a place; when the session is removed, a
// new one takes the place. It also keeps the sessions without a place, which are read back at the
// end. The methods may be called concurrently.
type places struct {
	list []atomic.Pointer[measure.Entry] // nil: there is no session in this place

	mu   sync.Mutex
	gone []*measure.Entry // guarded by mu; sessions without a place: their removal was begun, or another session had the place
}

func newPlaces(n int) *places { return &places{list: make([]atomic.Pointer[measure.Entry], n)} }

// pickTries is how often pick tries another place if the session's removal is claimed.
const pickTries = 4

// pick returns a random place with its session; nil: the place is empty.
func (r *places) pick(random *rand.Rand) (place int, e *measure.Entry) {
	for range pickTries {
		place = random.IntN(len(r.list))
		if e = r.list[place].Load(); e == nil || !e.RemovalClaimed() {
			break
		}
	}
	return place, e
}

// put gives a new session its place. If another session has the place already, the new one is kept
// without a place.
func (r *places) put(place int, e *measure.Entry) {
	if r.list[place].CompareAndSwap(nil, e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// remove empties the place of a session whose removal was begun.
func (r *places) remove(place int, e *measure.Entry) {
	r.list[place].Store(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// all returns all sessions, with and without a place.
func (r *places) all() (list []*measure.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if e := r.list[i].Load(); e != nil {
			list = append(list, e)
		}
	}
	return append(list, r.gone...)
}
