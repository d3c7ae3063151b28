package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
)

// worker is one client of a load. Only one goroutine may use it.
type worker struct {
	*Load
	random *rand.Rand
	item   []byte // buffer for the item to write
}

// arrival is when a request is due. early says that a client was waiting for it.
type arrival struct {
	due   time.Time
	early bool
}

// visit makes one visit.
func (w *worker) visit(a arrival) {
	place, e := w.places.pick(w.random)
	if e == nil {
		w.create(a, place)
		return
	}
	switch w.Mix.draw(w.random) {
	case "lock":
		w.lock(a, e)
	case "read":
		w.read(a, e)
	case "touch":
		w.touch(a, e)
	case "renew":
		w.renew(a, place, e)
	}
}

// request makes one request and records its result.
func (w *worker) request(a arrival, call measure.Call, do func(context.Context) error, classify func(error) (measure.Status, string)) error {
	ctx, cancel := context.WithTimeout(w.calls, w.Timeout)
	defer cancel()
	sent := time.Now()
	err := do(ctx)
	done := time.Now()
	if err != nil && w.calls.Err() != nil {
		return err // an interrupt is not a failure
	}
	s := measure.Sample{Due: w.clock.At(a.due), Sent: w.clock.At(sent), Done: w.clock.At(done), Call: call, Early: a.early}
	if s.Status, s.Problem = classify(err); s.Status == measure.Failed && call.Mutates() {
		w.ledger.Unknown(err)
	}
	w.note(s)
	return err
}

// ref returns the reference to a session.
func (w *worker) ref(e *measure.Entry) session.Ref { return session.Ref{App: w.app, ID: e.ID} }

// lock acquires the lock, waits for the think time, updates the session and releases the lock. The
// update is due when the acquire has ended and the think time has passed.
func (w *worker) lock(a arrival, e *measure.Entry) {
	seen, lock, ok := w.acquire(a, e)
	if !ok {
		return
	}
	next := time.Now().Add(w.Think)
	_ = sleepExactly(w.calls, next) // after an interrupt the lock is still released
	e.BeginRelease()
	if seen == nil {
		w.release(next, e, lock, false)
	} else {
		w.update(next, e, seen, lock)
	}
	e.EndHold()
}

// acquire acquires the lock. If ok, the caller must call BeginRelease and EndHold.
func (w *worker) acquire(a arrival, e *measure.Entry) (seen *measure.Write, lock session.Lock, ok bool) {
	var s session.Session
	v := e.BeginAcquire(time.Now())
	err := w.request(a, measure.CallAcquire, func(ctx context.Context) (err error) {
		s, lock, err = w.store.Acquire(ctx, w.ref(e), session.NewOperation())
		return err
	}, func(err error) (measure.Status, string) { return e.Classify(v, err) })
	if err != nil {
		e.EndHold()
		return nil, lock, false
	}
	e.LockGranted()
	return e.CheckItem(v, s.Item), lock, true
}

// update updates the session and releases the lock.
func (w *worker) update(due time.Time, e *measure.Entry, seen *measure.Write, lock session.Lock) {
	var wr *measure.Write
	w.item, wr = e.BeginWrite(w.item[:0], seen, w.Size.draw(w.random))
	sent := time.Now()
	err := w.request(arrival{due, true}, measure.CallUpdate, func(ctx context.Context) error {
		_, err := w.store.Update(ctx, w.ref(e), lock, w.content(), false, session.NewOperation())
		return err
	}, failed)
	e.EndWrite(wr, err, w.writeDeadline(sent))
	if err != nil && !errors.Is(err, session.ErrLockLost) {
		// No other client can work while the lock is held. If the update has released it, this
		// release changes nothing.
		w.release(time.Now(), e, lock, measure.OutcomeUnknown(err))
	}
}

// release releases the lock. With maybe set the lock may have been released before; then a lost lock is not a failure.
func (w *worker) release(due time.Time, e *measure.Entry, lock session.Lock, maybe bool) {
	_ = w.request(arrival{due, false}, measure.CallRelease, func(ctx context.Context) error { // the recorder counts the error
		return w.store.Release(ctx, w.ref(e), lock, session.NewOperation())
	}, func(err error) (measure.Status, string) {
		if maybe && errors.Is(err, session.ErrLockLost) {
			return measure.Answered, ""
		}
		return failed(err)
	})
}

// failed returns the status of a call that must succeed.
func failed(err error) (measure.Status, string) {
	if err != nil {
		return measure.Failed, measure.ProblemOf(err)
	}
	return measure.Answered, ""
}

// serverTime is how long a server may continue with a request whose client has gone: the hold
// window and 5 s, by default 35 s.
const serverTime = 40 * time.Second

// writeDeadline returns by when a write that was sent at this time has taken effect, or never will.
func (w *worker) writeDeadline(sent time.Time) time.Time {
	return sent.Add(max(w.Timeout, serverTime))
}

// content returns the write of the item.
func (w *worker) content() session.Write { return session.Write{Item: w.item, Timeout: w.minutes} }

// read reads the session.
func (w *worker) read(a arrival, e *measure.Entry) {
	var s session.Session
	v := e.BeginCall(time.Now())
	err := w.request(a, measure.CallGet, func(ctx context.Context) (err error) {
		s, err = w.store.Get(ctx, w.ref(e), session.GetOptions{})
		return err
	}, func(err error) (measure.Status, string) { return e.Classify(v, err) })
	if err == nil {
		e.CheckItem(v, s.Item)
	}
}

// touch renews the session's timeout.
func (w *worker) touch(a arrival, e *measure.Entry) {
	v := e.BeginCall(time.Now())
	err := w.request(a, measure.CallTouch, func(ctx context.Context) error {
		_, err := w.store.Touch(ctx, w.ref(e), session.Operation{})
		return err
	}, func(err error) (measure.Status, string) { return e.Classify(v, err) })
	if err == nil {
		e.CheckAlive(v)
	}
}

// renew removes a session and creates another one in its place: three requests. If another client
// is about to remove the session, renew only reads it.
func (w *worker) renew(a arrival, place int, e *measure.Entry) {
	if !e.ClaimRemoval() {
		w.read(a, e)
		return
	}
	_, lock, ok := w.acquire(a, e)
	if !ok {
		e.UnclaimRemoval()
		return
	}
	e.BeginRelease()
	w.remove(e, lock)
	e.EndHold()
	if _, begun := e.Removal(); !begun {
		e.UnclaimRemoval()
		return
	}
	w.places.remove(place, e)
	w.create(arrival{due: time.Now()}, place)
}

// remove removes a session whose lock the caller holds.
func (w *worker) remove(e *measure.Entry, lock session.Lock) {
	e.BeginRemoval()
	err := w.request(arrival{due: time.Now()}, measure.CallRemove, func(ctx context.Context) error {
		return w.store.Remove(ctx, w.ref(e), lock, session.NewOperation())
	}, failed)
	e.EndRemoval(err)
	if err != nil && !errors.Is(err, session.ErrLockLost) {
		w.release(time.Now(), e, lock, measure.OutcomeUnknown(err))
	}
}

// create creates a session in an empty place.
func (w *worker) create(a arrival, place int) {
	_ = w.request(a, measure.CallPut, func(ctx context.Context) error { return w.put(ctx, place) }, failed) // the recorder counts the error
}

// put creates a session. The session gets the place if its creation is acknowledged and the place
// is still empty.
func (w *worker) put(ctx context.Context, place int) error {
	e := w.ledger.NewEntry(session.NewID())
	var wr *measure.Write
	w.item, wr = e.BeginWrite(w.item[:0], nil, w.Size.draw(w.random))
	sent := time.Now()
	_, err := w.store.Put(ctx, w.ref(e), w.content(), session.Condition{OnlyCreate: true}, session.NewOperation())
	e.EndWrite(wr, err, w.writeDeadline(sent))
	if err == nil {
		w.places.put(place, e)
	}
	return err
}
