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

// Load holds the clients of one via, their sessions and their ledger. Call its methods one after the other: Prepare,
// Run, ReadBack, Clean. Shut and Open may be called while Run runs.
type Load struct {
	Task
	app    *session.Application
	store  session.Store
	note   func(measure.Sample)
	ledger *measure.Ledger
	places *places
	clock  measure.Clock

	// gate is read-locked during each visit of a closed loop; Shut locks it.
	gate sync.RWMutex

	// calls is the context of the requests. Run sets it. It ends a little later than Run's context,
	// so that requests under way at an interrupt are answered.
	calls   context.Context
	minutes int // the sessions' timeout
}

// Task says what a load does.
type Task struct {
	App string // application of the sessions
	Workload
	Rate             float64       // requests a second; 0: as many as possible
	Clients          int           // how many requests may be under way
	Duration, Warmup time.Duration // how long is measured, and how long the load runs before that
	Timeout          time.Duration // how long a client waits for an answer
	Seed             uint64        // selects the random numbers
}

// New returns a load on a store. Its clients call note with each request, concurrently.
func New(t Task, store session.Store, note func(measure.Sample)) *Load {
	app := session.Application{Name: t.App}.WithDefaults()
	return &Load{
		Task: t, app: &app, store: store, note: note, ledger: &measure.Ledger{}, places: newPlaces(t.Sessions),
		minutes: session.DefaultTimeout + 2*int(t.Duration/time.Minute+1), calls: context.Background(),
	}
}

// worker returns a client. Its number selects its random numbers.
func (l *Load) worker(n int) *worker {
	return &worker{Load: l, random: rand.New(rand.NewPCG(l.Seed, uint64(n)))}
}

// parallel calls do n times, from at most l.Clients goroutines. It returns the first error, and
// makes no more calls after it.
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

// setupTime bounds the call that creates one session before the load.
const setupTime = 30 * time.Second

// Prepare creates the sessions.
func (l *Load) Prepare(ctx context.Context) error {
	err := l.parallel(l.Sessions, func(w *worker, i int) error {
		return measure.WithTimeout(ctx, setupTime, func(ctx context.Context) error { return w.put(ctx, i) })
	})
	if err != nil {
		return fmt.Errorf("create the sessions: %w", err)
	}
	return nil
}

// answerGrace is how long requests under way may take after an interrupt.
const answerGrace = 3 * time.Second

// Run makes the visits, from Warmup before zero to Duration after it, or until ctx ends. It returns
// when all requests have ended.
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

// NotStarted is the problem of visits for which no client was free until [CatchUp] after the end.
const NotStarted = "not-started"

// recordNotStarted records the visits that no client has made as failures.
func (l *Load) recordNotStarted(list []time.Time) {
	now := l.clock.Now()
	for _, due := range list {
		l.note(measure.Sample{Due: l.clock.At(due), Sent: now, Done: now, Call: measure.CallGet, Status: measure.Failed, Problem: NotStarted})
	}
}

// client makes visits until the pacer has no more.
func (l *Load) client(ctx context.Context, w *worker, pacer *Pacer) {
	for l.once(ctx, w, pacer) {
	}
}

// once makes one visit. It reports false if there are no more.
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

// cutLater calls cut some time after ctx has ended, unless over is closed before.
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

// Shut stops a closed loop from beginning visits, and returns when no visit is under way. Open must
// follow.
func (l *Load) Shut() { l.gate.Lock() }

// Open lets a closed loop begin visits again.
func (l *Load) Open() { l.gate.Unlock() }

// readBackTime bounds the read-back, and readBackTries is how often one session is tried.
const (
	readBackTime  = 30 * time.Second
	readBackTries = 3
)

// ReadBack reads every session, removed ones too, and returns the counts of the ledger.
func (l *Load) ReadBack(ctx context.Context) measure.Integrity {
	ctx, cancel := context.WithTimeout(ctx, readBackTime)
	defer cancel()
	list := l.places.all()
	_ = l.parallel(len(list), func(w *worker, i int) error { // the function returns no error
		l.ledger.ReadAtEnd(w.readBack(ctx, list[i]))
		return nil
	})
	return l.ledger.Found()
}

// readBack reads one session. It reports whether that was possible.
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

// cleanTries is how often the removal of one session is tried.
const cleanTries = 3

// Clean removes the sessions from a server that stays. Sessions that it can not remove expire.
func (l *Load) Clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readBackTime)
	defer cancel()
	list := l.places.all()
	_ = l.parallel(len(list), func(w *worker, i int) error { // the function returns no error
		if gone, _ := list[i].Removal(); gone {
			return nil
		}
		for range cleanTries { // otherwise the session expires
			op := session.NewOperation()
			err := w.store.Remove(ctx, w.ref(list[i]), session.Lock{}, op)
			if errors.Is(err, session.ErrLocked) { // a client whose answer was lost holds the lock
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
