package chaos

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// script makes the history of a store, by calls one after the other.
type script struct {
	*client
	sub *subject
}

func newScript(store session.Store) script {
	c := &client{number: 1, random: random(1, 1), targets: []target{{now: store, waits: store}}, tally: newTally(), epoch: time.Now()}
	return script{client: c, sub: newSubject(&application, 1)}
}

// verdict reads the session once more, and checks the history.
func (s script) verdict() (porcupine.CheckResult, []finding) {
	s.get(s.sub, true)
	return judge(s.sub.history)
}

// everything makes a history with every verb and every answer.
func (s script) everything() {
	s.acquire(s.sub) // not found
	s.touch(s.sub)
	s.put(s.sub, session.Condition{OnlyCreate: true})
	s.put(s.sub, session.Condition{OnlyCreate: true}) // precondition
	seen := s.get(s.sub, false)
	s.touch(s.sub)
	s.put(s.sub, session.Condition{Match: seen.Tag})
	s.put(s.sub, session.Condition{Match: seen.Tag}) // precondition
	_, first := s.acquire(s.sub)
	s.acquire(s.sub)                  // locked
	s.get(s.sub, false)               // locked
	s.get(s.sub, true)                // beside
	s.put(s.sub, session.Condition{}) // locked
	s.remove(s.sub, grant{})          // locked
	s.update(s.sub, first, true)
	s.update(s.sub, first, false)
	s.update(s.sub, first, false) // lock lost
	_, second := s.acquire(s.sub)
	s.release(s.sub, first) // lock lost
	s.release(s.sub, second)
	_, third := s.acquire(s.sub)
	s.remove(s.sub, third)
	s.get(s.sub, true) // not found
	s.put(s.sub, session.Condition{})
	s.remove(s.sub, grant{})
	s.put(s.sub, session.Condition{})
}

// TestModel_Sound: the history of a correct store has no findings.
func TestModel_Sound(t *testing.T) {
	s := newScript(memory.New(nil))
	s.everything()
	if v, found := s.verdict(); v != porcupine.Ok || len(found) > 0 {
		t.Errorf("a correct store's history is %s, with %v\n%s", v, found, tail(s.sub.history))
	}
	if len(s.tally.answers) < 17 {
		t.Errorf("the script has only these kinds of answers: %s", list(s.tally.answers))
	}
	if s.tally.failed.Load() > 0 {
		t.Errorf("calls failed: %v", s.tally.failures)
	}
}

// TestModel_SoundConcurrent: the same with many concurrent clients.
func TestModel_SoundConcurrent(t *testing.T) {
	tl := runConcurrent(memory.New(nil))
	if tl.verdicts[porcupine.Ok] == 0 || tl.verdicts[porcupine.Ok] != sum(tl.verdicts) || sum(tl.findings) > 0 {
		t.Errorf("the sessions of a correct store are judged %s, %s", list(tl.verdicts), list(tl.findings))
	}
}

// TestModel_SoundWithRudeClients: the same with clients that hang up and ask again, or ask two proxies at once.
func TestModel_SoundWithRudeClients(t *testing.T) {
	var late sync.WaitGroup
	store := newRemembers()
	tl := drive(6, 100, func(c *client) {
		c.rude = 2
		for range 3 {
			f := &detachedStore{Store: store, late: &late}
			c.targets = append(c.targets, target{now: f, waits: f})
		}
	})
	late.Wait()
	checkSoundWithRudeClients(t, tl)
}

// TestModel_SoundByHTTP: the same with real proxies, which also release locks of clients that hung up.
func TestModel_SoundByHTTP(t *testing.T) {
	store := newRemembers()
	var targets []target
	for range 3 {
		api, err := newAPI(begins{store}, func(context.Context) ([]byte, error) { return make([]byte, 32), nil }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(seesTries(api))
		t.Cleanup(server.Close)
		t.Cleanup(api.StopWaiting)
		targets = append(targets, newTarget(t, server.URL, nil))
	}
	checkSoundWithRudeClients(t, drive(6, 100, func(c *client) { c.rude, c.waits, c.targets = 2, 3, targets }))
}

// checkSoundWithRudeClients checks that a correct store with rude clients has no findings.
func checkSoundWithRudeClients(t *testing.T, tl *tally) {
	t.Helper()
	if tl.verdicts[porcupine.Ok] == 0 || tl.verdicts[porcupine.Ok] != sum(tl.verdicts) || sum(tl.findings) > 0 {
		t.Errorf("the sessions of a correct store are judged %s, %s", list(tl.verdicts), list(tl.findings))
	}
	if tl.failed.Load()+tl.unknown.Load() > 0 {
		t.Errorf("requests failed: %s", strings.Join(tl.failures, "; "))
	}
	if sum(tl.hangUps) == 0 || tl.again.Load() == 0 || tl.twins.Load() == 0 {
		t.Errorf("the clients were not rude:%s", tl.summary())
	}
}

// TestModel_ConcurrentDoubleGrant: a store that grants held locks is found. Only concurrent clients can notice it.
func TestModel_ConcurrentDoubleGrant(t *testing.T) {
	tl := runConcurrent(&grantsTwice{Store: memory.New(nil), last: map[session.ID]session.Lock{}})
	if tl.verdicts[porcupine.Illegal] == 0 {
		t.Errorf("locks granted twice are judged %s, %s", list(tl.verdicts), list(tl.findings))
	}
}

// runConcurrent runs a few clients on a store in this process.
func runConcurrent(store session.Store) *tally {
	return drive(6, 40, func(c *client) { c.targets = []target{{now: yielding{store}, waits: yielding{store}}} })
}

// drive makes clients take turns with two sessions at a time, and checks the histories.
func drive(clients, turns int, set func(*client)) *tally {
	tl := newTally()
	began := time.Now()
	var mu sync.Mutex
	var over []*subject
	stage := newStage(&application, 2, 40, func(s *subject) {
		mu.Lock()
		defer mu.Unlock()
		over = append(over, s)
	})
	var running sync.WaitGroup
	for n := range clients {
		c := &client{number: n, random: random(1, n), tally: tl, epoch: began}
		set(c)
		running.Go(func() {
			for range turns {
				sub := stage.take(c.random.IntN(2))
				c.turn(sub)
				stage.put(sub)
			}
		})
	}
	running.Wait()
	stage.close()
	for _, s := range over {
		tl.checked(judge(s.history))
	}
	return tl
}

// brokenStores are stores that each break one part of the promise, with a script that shows it.
var brokenStores = []struct {
	name   string
	store  func(session.Store) session.Store
	script func(script)
	kind   string // the finding of the rules, in addition to porcupine's
}{
	{"acknowledges a put that it did not send", func(s session.Store) session.Store { return &forgetsPuts{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.put(s.sub, session.Condition{})
	}, "lost"},
	{"acknowledges an update that it did not send", func(s session.Store) session.Store { return forgetsUpdates{s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		_, lock := s.acquire(s.sub)
		s.update(s.sub, lock, false)
	}, "lost"},
	{"forgets a removal", func(s session.Store) session.Store { return forgetsRemovals{s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.remove(s.sub, grant{})
	}, "lost"},
	{"sends an acquire again under another operation id", func(s session.Store) session.Store { return dropsOperation{s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.acquire(s.sub)
	}, ""},
	{"sends a create again under another operation id", func(s session.Store) session.Store { return dropsOperation{s} }, func(s script) {
		s.put(s.sub, session.Condition{OnlyCreate: true})
	}, ""},
	{"grants a lock twice", func(s session.Store) session.Store {
		return &grantsTwice{Store: s, last: map[session.ID]session.Lock{}}
	}, func(s script) {
		s.put(s.sub, session.Condition{})
		_, first := s.acquire(s.sub)
		_, second := s.acquire(s.sub)
		s.release(s.sub, first)
		s.release(s.sub, second)
	}, "double-grant"},
	{"stores whatever the version", func(s session.Store) session.Store { return ignoresMatch{s} }, func(s script) {
		seen := s.put(s.sub, session.Condition{})
		s.put(s.sub, session.Condition{})
		s.put(s.sub, session.Condition{Match: seen.Tag})
	}, ""},
	{"answers a read from before", func(s session.Store) session.Store { return &stale{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.get(s.sub, false)
		s.put(s.sub, session.Condition{})
		s.get(s.sub, false)
	}, "stale"},
	{"stores what it refused", func(s session.Store) session.Store { return &appliesLate{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		_, lock := s.acquire(s.sub)
		s.put(s.sub, session.Condition{}) // locked
		s.update(s.sub, lock, false)
	}, "after-refusal"},
	{"removes what it refused to", func(s session.Store) session.Store { return &appliesLate{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		_, lock := s.acquire(s.sub)
		s.remove(s.sub, grant{}) // locked
		s.update(s.sub, lock, false)
	}, "after-refusal"},
	{"grants the lock that it refused", func(s session.Store) session.Store { return &appliesLate{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		_, lock := s.acquire(s.sub)
		s.acquire(s.sub) // locked
		s.release(s.sub, lock)
		s.acquire(s.sub)
	}, "held-by-nobody"},
	{"gives back a lock that was found again", func(s session.Store) session.Store { return &givesBackFound{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.plans = []plan{{requests: []sendMode{{}, {}}}}
		_, lock := s.acquire(s.sub)
		_, other := s.acquire(s.sub)
		s.update(s.sub, lock, false)
		s.release(s.sub, other)
	}, "double-grant"},
	{"refuses what was done before", func(s session.Store) session.Store { return &losesFirst{Store: s, refuses: true} }, func(s script) {
		s.put(s.sub, session.Condition{})
		_, lock := s.acquire(s.sub)
		s.plans = []plan{{requests: []sendMode{{hangsUp: true}}}}
		s.update(s.sub, lock, true)
		s.get(s.sub, true)
	}, "after-refusal"},
}

// TestModel_BrokenStores: each broken store is found. The same script has no findings on the correct store.
func TestModel_BrokenStores(t *testing.T) {
	for _, broken := range brokenStores {
		t.Run(broken.name, func(t *testing.T) {
			sound := newScript(memory.New(nil))
			broken.script(sound)
			if v, found := sound.verdict(); v != porcupine.Ok || len(found) > 0 {
				t.Errorf("the correct store's history is %s, with %v", v, found)
			}
			s := newScript(broken.store(memory.New(nil)))
			broken.script(s)
			v, found := s.verdict()
			if v != porcupine.Illegal {
				t.Errorf("porcupine finds %s\n%s", v, tail(s.sub.history))
			}
			if broken.kind != "" && !slices.ContainsFunc(found, func(f finding) bool { return f.Kind == broken.kind }) {
				t.Errorf("the rules find %v, want %s", found, broken.kind)
			}
		})
	}
}

// TestModel_LostAnswer: an update whose answer was lost is done. Sent again, it is answered "done".
func TestModel_LostAnswer(t *testing.T) {
	s := newScript(&losesFirst{Store: memory.New(nil)})
	s.put(s.sub, session.Condition{})
	_, lock := s.acquire(s.sub)
	s.plans = []plan{{requests: []sendMode{{hangsUp: true}}}}
	if out := s.update(s.sub, lock, true); out.Result != done {
		t.Errorf("the update sent again is answered %s", out.Result)
	}
	if v, found := s.verdict(); v != porcupine.Ok || len(found) > 0 {
		t.Errorf("a correct store's history is %s, with %v\n%s", v, found, tail(s.sub.history))
	}
	if n := s.tally.hangUps["update"]; n != 1 {
		t.Errorf("the client hung up %d times, want once", n)
	}
}

// yielding makes the calls of a store in this process overlap, as network calls do.
type yielding struct{ session.Store }

func (y yielding) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	defer pause(ctx, 100*time.Microsecond)
	return y.Store.Acquire(ctx, ref, op)
}

// forgetsPuts drops every second put.
type forgetsPuts struct {
	session.Store
	seen int
}

func (f *forgetsPuts) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if f.seen++; f.seen%2 == 0 {
		return session.Session{}, nil
	}
	return f.Store.Put(ctx, ref, w, cond, op)
}

type forgetsUpdates struct{ session.Store }

func (f forgetsUpdates) Update(ctx context.Context, ref session.Ref, lock session.Lock, _ session.Write, _ bool, op session.Operation) (session.Session, error) {
	return session.Session{}, f.Release(ctx, ref, lock, op)
}

type forgetsRemovals struct{ session.Store }

func (f forgetsRemovals) Remove(context.Context, session.Ref, session.Lock, session.Operation) error {
	return nil
}

// dropsOperation sends every call twice, as a proxy does that lost an answer. It wrongly uses two operation ids.
type dropsOperation struct{ session.Store }

func (d dropsOperation) Acquire(ctx context.Context, ref session.Ref, _ session.Operation) (session.Session, session.Lock, error) {
	_, _, _ = d.Store.Acquire(ctx, ref, session.NewOperation()) // the answer is lost
	return d.Store.Acquire(ctx, ref, session.NewOperation())
}

func (d dropsOperation) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, _ session.Operation) (session.Session, error) {
	_, _ = d.Store.Put(ctx, ref, w, cond, session.NewOperation()) // the answer is lost
	return d.Store.Put(ctx, ref, w, cond, session.NewOperation())
}

// grantsTwice takes the lock from its holder and grants it to the next caller.
type grantsTwice struct {
	session.Store
	mu   sync.Mutex
	last map[session.ID]session.Lock
}

func (g *grantsTwice) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.Release(ctx, ref, g.last[ref.ID], session.NewOperation()) // the lock may be free
	s, lock, err := g.Store.Acquire(ctx, ref, op)
	if err == nil {
		g.last[ref.ID] = lock
	}
	return s, lock, err
}

type ignoresMatch struct{ session.Store }

func (i ignoresMatch) Put(ctx context.Context, ref session.Ref, w session.Write, _ session.Condition, op session.Operation) (session.Session, error) {
	return i.Store.Put(ctx, ref, w, session.Condition{}, op)
}

// stale answers every read like the first one, as a former principal would.
type stale struct {
	session.Store
	first *session.Session
}

func (r *stale) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	if r.first != nil {
		return *r.first, nil
	}
	s, err := r.Store.Get(ctx, ref, opts)
	if err == nil {
		r.first = &s
	}
	return s, err
}

// appliesLate carries out a refused call when the lock is free.
type appliesLate struct {
	session.Store
	late func(ctx context.Context)
}

func (a *appliesLate) free(ctx context.Context) {
	if late := a.late; late != nil {
		a.late = nil
		late(ctx)
	}
}

func (a *appliesLate) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	s, err := a.Store.Put(ctx, ref, w, cond, op)
	if errors.Is(err, session.ErrLocked) {
		a.late = func(ctx context.Context) { _, _ = a.Store.Put(ctx, ref, w, cond, session.NewOperation()) }
	}
	return s, err
}

func (a *appliesLate) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	err := a.Store.Remove(ctx, ref, lock, op)
	if errors.Is(err, session.ErrLocked) {
		a.late = func(ctx context.Context) { _ = a.Store.Remove(ctx, ref, lock, session.NewOperation()) }
	}
	return err
}

func (a *appliesLate) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	s, lock, err := a.Store.Acquire(ctx, ref, op)
	if errors.Is(err, session.ErrLocked) {
		a.late = func(ctx context.Context) { _, _, _ = a.Store.Acquire(ctx, ref, session.NewOperation()) }
	}
	return s, lock, err
}

func (a *appliesLate) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	defer a.free(ctx)
	return a.Store.Update(ctx, ref, lock, w, keep, op)
}

func (a *appliesLate) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	defer a.free(ctx)
	return a.Store.Release(ctx, ref, lock, op)
}

// givesBackFound releases a lock that was granted again to the same acquire, when another caller asks for it.
type givesBackFound struct {
	session.Store
	mu    sync.Mutex
	lock  session.Lock // granted last
	found bool         // granted again to the same acquire
}

func (g *givesBackFound) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.found && g.lock.Operation != op.ID {
		_ = g.Release(ctx, ref, g.lock, session.NewOperation())
	}
	s, lock, err := g.Store.Acquire(ctx, ref, op)
	if err == nil {
		g.lock, g.found = lock, lock == g.lock
	}
	return s, lock, err
}

// losesFirst carries out the first update but does not answer it. If refuses is set, it refuses the same update when it
// is sent again.
type losesFirst struct {
	session.Store
	refuses bool
	seen    int
}

func (l *losesFirst) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	s, err := l.Store.Update(context.WithoutCancel(ctx), ref, lock, w, keep, op)
	if l.seen++; l.seen == 1 {
		<-ctx.Done()
		return session.Session{}, ctx.Err()
	}
	if l.refuses {
		return session.Session{}, session.ErrLockLost
	}
	return s, err
}

// TestUnexplained: an outcome may be unknown only if the session has had enough other operations.
func TestUnexplained(t *testing.T) {
	defer func(relays bool) { *relayFlag = relays }(*relayFlag)
	*relayFlag = false // no relay delays the answers with a server's clock
	doubted := record{In: input{Verb: verbUpdate}, Out: output{Result: unknown}, Call: 100e6, Return: forever, Tries: 1,
		Attempts: []attempt{{From: 100e6, To: 200e6, Result: unknown}}}
	other := func(v verb, r result, from, to int64) record {
		return record{In: input{Verb: v}, Out: output{Result: r}, Call: from, Return: to, Tries: 1}
	}
	full := []record{doubted, other(verbAcquire, done, 90e6, 110e6), other(verbUpdate, done, 120e6, 130e6),
		other(verbPut, unknown, 140e6, forever), other(verbRelease, done, 150e6, 160e6)}
	removal := other(verbRemove, done, 150e6, 160e6)
	removal.In.Net = true
	sentAgain := doubted
	sentAgain.Attempts = []attempt{{From: 100e6, To: 165e6, Result: unknown, Left: true}, {From: 170e6, To: 200e6, Result: unknown}}
	left := doubted
	left.Attempts = []attempt{{From: 100e6, To: 200e6, Result: unknown, Left: true}}
	for _, c := range []struct {
		name    string
		history []record
		want    int
	}{
		{"four others", full, 0},
		{"three others", full[:4], 1},
		{"a client that hung up was told nothing", append([]record{left}, full[1:4]...), 0},
		{".NET removed the session", []record{doubted, removal}, 0},
		{"reads take no place", append(full[:4:4], other(verbGet, done, 150e6, 160e6)), 1},
		{"refusals take no place", append(full[:4:4], other(verbAcquire, locked, 150e6, 160e6)), 1},
		{"too early", append(full[:4:4], other(verbRelease, done, 10e6, 20e6)), 1},
		{"since the call was first sent", append([]record{sentAgain}, full[1:]...), 0},
		{"too late", append(full[:4:4], other(verbRelease, done, 210e6, 220e6)), 1},
	} {
		if got := unexplained(c.history); len(got) != c.want {
			t.Errorf("%s: found %v, want %d", c.name, got, c.want)
		}
	}
}

// TestTaken: a holder may lose its lock only after it has released it.
func TestTaken(t *testing.T) {
	call := func(v verb, r result, from, to int64) record {
		return record{In: input{Verb: v, Lock: "1"}, Out: output{Result: r}, Call: from, Return: to}
	}
	grant, gone := call(verbAcquire, done, 10, 20), call(verbUpdate, lockLost, 50, 60)
	for _, c := range []struct {
		name    string
		history []record
		want    int
	}{
		{"never given up", []record{grant, gone}, 1},
		{"given up before", []record{grant, call(verbRelease, done, 30, 40), gone}, 0},
		{"perhaps given up before", []record{grant, call(verbRelease, unknown, 30, forever), gone}, 0},
		{"never granted", []record{call(verbAcquire, locked, 10, 20), gone}, 0},
	} {
		if got := taken(c.history); len(got) != c.want {
			t.Errorf("%s: found %v, want %d", c.name, got, c.want)
		}
	}
}

// TestDoneTwice: a put may be done twice only if .NET has removed the session before the put was answered.
func TestDoneTwice(t *testing.T) {
	by := func(v verb, net bool, lock, value string, out output, from, to int64) record {
		return record{In: input{Verb: v, Net: net, Lock: lock, Value: value}, Out: out, Call: from, Return: to}
	}
	ok := output{Result: done}
	seen := output{Result: done, Value: "1"}
	for _, c := range []struct {
		name     string
		net      bool
		answered int64
		want     porcupine.CheckResult
	}{
		{".NET removes it while the put is sent again", true, 60, porcupine.Ok},
		{".NET removes it once the put is answered", true, 15, porcupine.Illegal},
		{"others remove it", false, 60, porcupine.Illegal},
	} {
		history := []record{
			by(verbPut, false, "", "1", output{Result: done, Made: true}, 10, c.answered),
			by(verbAcquire, c.net, "a", "", seen, 20, 30),
			by(verbRemove, c.net, "a", "", ok, 40, 50),
			by(verbGet, false, "", "", seen, 70, 80),
		}
		if got := search(history, searchLimit); got != c.want {
			t.Errorf("%s: porcupine finds %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAfterRefusals_twoAtOnce: of two requests of a call, one is refused and one done.
func TestAfterRefusals_twoAtOnce(t *testing.T) {
	for _, c := range []struct {
		name     string
		done, no int64 // when each request began
		want     int
	}{
		{"the one that was done had begun before", 10, 20, 1},
		{"it had begun later, and was a new one to its proxy", 20, 10, 0},
		{"nobody knows when it had begun", 0, 10, 0},
	} {
		r := record{In: input{Verb: verbPut, Value: "1"}, Out: output{Result: done}, Attempts: []attempt{
			{Result: done, Begun: c.done}, {Result: locked, Begun: c.no},
		}}
		if got := afterRefusals([]record{r}); len(got) != c.want {
			t.Errorf("%s: found %v, want %d", c.name, got, c.want)
		}
	}
}

func newAPI(store session.Store, key func(context.Context) ([]byte, error), logger *slog.Logger) (*proxy.API, error) {
	return proxy.NewAPI(proxy.Config{
		Store: store, HoldWindow: holdWindow, FleetSecret: key, Logger: logger,
		Apps: map[string]session.Application{"default": application},
	})
}
