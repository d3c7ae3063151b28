package load

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// places is the sessions under load, each in a place that its successors inherit, and
// those that were. Any number of goroutines may use it.
type places struct {
	list []atomic.Pointer[measure.Entry] // nil: its session could not be made

	mu   sync.Mutex
	gone []*measure.Entry // owned by mu: without a place. Their removal was begun, or another had taken it
}

func newPlaces(n int) *places { return &places{list: make([]atomic.Pointer[measure.Entry], n)} }

// pickTries is how often another place is taken where a session is just being removed.
const pickTries = 4

// pick chooses a place and its session, at random.
func (r *places) pick(random *rand.Rand) (place int, e *measure.Entry) {
	for range pickTries {
		place = random.IntN(len(r.list))
		if e = r.list[place].Load(); e == nil || !e.RemovalClaimed() {
			break
		}
	}
	return place, e
}

// put gives a new session its place. Where another client was quicker it has none: it is left alone, and is one of
// all nevertheless.
func (r *places) put(place int, e *measure.Entry) {
	if r.list[place].CompareAndSwap(nil, e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// remove notes that a session's removal was begun, and leaves its place to another one.
func (r *places) remove(place int, e *measure.Entry) {
	r.list[place].Store(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = append(r.gone, e)
}

// all are the sessions of now, and those without a place.
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
