package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
)

// Load is the clients of one via and what they know. Its methods are called one after the
// other: Prepare, Run, ReadBack, Clean; Shut and Open beside Run.
type Load struct {
	Task
	app    *session.Application
	store  session.Store
	note   func(measure.Sample)
	ledger *measure.Ledger
	places *places
	clock  measure.Clock

	// gate is held by every visit of a closed loop for reading, and by whoever shuts it.
	gate sync.RWMutex

	// calls is what requests run under: it outlives the run's context by a little, so that
	// what is under way at an interrupt is answered. Set by Run.
	calls   context.Context
	minutes int // that sessions live unused
}

// Task is what a load is to do.
type Task struct {
	App string // whose sessions they are
	Workload
	Rate             float64 // requests a second; 0: as many as possible
	Clients          int
	Duration, Warmup time.Duration
	Timeout          time.Duration
	Seed             uint64
}

// NewLoad makes a load on a store. Each request is given to note, by any of the clients.
func NewLoad(t Task, store session.Store, note func(measure.Sample)) *Load {
	app := session.Application{Name: t.App}.WithDefaults()
	return &Load{
		Task: t, app: &app, store: store, note: note, ledger: &measure.Ledger{}, places: newPlaces(t.Sessions),
		minutes: session.DefaultTimeout + 2*int(t.Duration/time.Minute+1), calls: context.Background(),
	}
}

// worker makes a client; its number is also which random numbers are its own.
func (l *Load) worker(n int) *worker {
	return &worker{Load: l, random: rand.New(rand.NewPCG(l.Seed, uint64(n)))}
}

// parallel does n things with at most so many clients at a time, and returns the first error.
func (l *Load) parallel(n int, do func(w *worker, i int) error) error {
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for c := range min(l.Clients, n) {
		wg.Go(func() {
			w := l.worker(c)
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(w, i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// setupTime bounds the making of one session before the load begins.
const setupTime = 30 * time.Second

// Prepare makes the sessions.
func (l *Load) Prepare(ctx context.Context) error {
	err := l.parallel(l.Sessions, func(w *worker, i int) error {
		return measure.WithTimeout(ctx, setupTime, func(ctx context.Context) error { return w.put(ctx, i) })
	})
	if err != nil {
		return fmt.Errorf("make the sessions: %w", err)
	}
	return nil
}

// answerGrace is how long requests under way may take after an interrupt.
const answerGrace = 3 * time.Second

// Run has the clients visit, from the warm-up before zero to the end of the duration after
// it, or until ctx ends. It returns when all that was begun is answered.
func (l *Load) Run(ctx context.Context, zero time.Time) {
	l.clock = measure.Clock{Zero: zero}
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	l.calls = calls
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { cutLater(ctx, over, cut) })
	pacer := NewPacer(zero.Add(-l.Warmup), zero.Add(l.Duration), l.Rate/l.Mix.Requests())
	var running sync.WaitGroup
	for c := range l.Clients {
		running.Go(func() { l.client(ctx, l.worker(c+1), pacer) })
	}
	running.Wait()
	close(over)
	watching.Wait()
	cut()
	if ctx.Err() == nil {
		l.recordNotStarted(pacer.Left())
	}
}

// NotStarted is the problem of requests for which no client was free until long after the end.
const NotStarted = "not-started"

// recordNotStarted notes the visits that nobody made: whoever would have made them was not served.
func (l *Load) recordNotStarted(list []time.Time) {
	now := l.clock.Now()
	for _, due := range list {
		l.note(measure.Sample{Due: l.clock.At(due), Sent: now, Done: now, Call: measure.CallGet, Status: measure.Failed, Problem: NotStarted})
	}
}

// client visits until the pacer says that it is over.
func (l *Load) client(ctx context.Context, w *worker, pacer *Pacer) {
	for l.once(ctx, w, pacer) {
	}
}

// once is one visit; false: there are no more.
func (l *Load) once(ctx context.Context, w *worker, pacer *Pacer) bool {
	if l.Rate == 0 {
		l.gate.RLock()
		defer l.gate.RUnlock()
	}
	due, early, ok := pacer.Next(ctx)
	if ok {
		w.visit(arrival{due, early})
	}
	return ok
}

// cutLater ends the calls some time after ctx did, unless all is over before.
func cutLater(ctx context.Context, over <-chan struct{}, cut func()) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	grace := time.NewTimer(answerGrace)
	defer grace.Stop()
	select {
	case <-over:
	case <-grace.C:
		cut()
	}
}

// Shut lets no visit of a closed loop begin, and returns when none is under way.
func (l *Load) Shut() { l.gate.Lock() }

// Open lets them begin again.
func (l *Load) Open() { l.gate.Unlock() }

// readBackTime bounds the reading back, and readBackTries how often one session is tried.
const (
	readBackTime  = 30 * time.Second
	readBackTries = 3
)

// ReadBack reads every session there was, for the last time, and says what was found in all.
func (l *Load) ReadBack(ctx context.Context) measure.Integrity {
	ctx, cancel := context.WithTimeout(ctx, readBackTime)
	defer cancel()
	list := l.places.all()
	_ = l.parallel(len(list), func(w *worker, i int) error { // it returns no error
		l.ledger.ReadAtEnd(w.readBack(ctx, list[i]))
		return nil
	})
	return l.ledger.Found()
}

// readBack reads one session, and says whether it could be.
func (w *worker) readBack(ctx context.Context, e *measure.Entry) bool {
	for range readBackTries {
		v := e.BeginCall(time.Now())
		var s session.Session
		err := measure.WithTimeout(ctx, w.Timeout, func(ctx context.Context) (err error) {
			s, err = w.store.Get(ctx, w.ref(e), session.GetOptions{Peek: true, AllowLocked: true})
			return err
		})
		switch {
		case err == nil:
			e.CheckItem(v, s.Item)
			return true
		case errors.Is(err, session.ErrNotFound):
			e.CheckMissing()
			return true
		case ctx.Err() != nil:
			return false
		}
	}
	return false
}

// cleanTries is how often a session's removal is tried.
const cleanTries = 3

// Clean removes the sessions of a server that is not ours, where it can.
func (l *Load) Clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readBackTime)
	defer cancel()
	list := l.places.all()
	_ = l.parallel(len(list), func(w *worker, i int) error { // it returns no error
		if gone, _ := list[i].Removal(); gone {
			return nil
		}
		for range cleanTries { // it expires otherwise
			op := session.NewOperation()
			err := w.store.Remove(ctx, w.ref(list[i]), session.Lock{}, op)
			if errors.Is(err, session.ErrLocked) { // by a client whose answer was lost
				op.Break = true
				err = w.store.Remove(ctx, w.ref(list[i]), session.Lock{}, op)
			}
			if err == nil {
				break
			}
		}
		return nil
	})
}
