package chaos

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// script is a store's history, made by calls one after the other.
type script struct {
	*client
	sub *subject
}

func newScript(store session.Store) script {
	c := &client{number: 1, random: random(1, 1), doors: []door{{now: store, waits: store}}, tally: newTally(), epoch: time.Now()}
	return script{client: c, sub: newSubject(&application, 1)}
}

// verdict reads the session once more and judges.
func (s script) verdict() (porcupine.CheckResult, []finding) {
	s.get(s.sub, true)
	return judge(s.sub.history)
}

// everything is a history with every verb and every answer in it.
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

// TestModel_Sound: a store that keeps its promises is never accused.
func TestModel_Sound(t *testing.T) {
	s := newScript(memory.New(nil))
	s.everything()
	if v, found := s.verdict(); v != porcupine.Ok || len(found) > 0 {
		t.Errorf("a sound store's history is %s, with %v\n%s", v, found, tail(s.sub.history))
	}
	if len(s.tally.answers) < 17 {
		t.Errorf("the script has only these kinds of answers: %s", list(s.tally.answers))
	}
	if s.tally.failed.Load() > 0 {
		t.Errorf("calls failed: %v", s.tally.failures)
	}
}

// TestModel_SoundTogether is the same of many clients at once.
func TestModel_SoundTogether(t *testing.T) {
	tl := together(memory.New(nil))
	if tl.verdicts[porcupine.Ok] == 0 || tl.verdicts[porcupine.Ok] != sum(tl.verdicts) || sum(tl.findings) > 0 {
		t.Errorf("sound sessions are judged %s, %s", list(tl.verdicts), list(tl.findings))
	}
}

// TestModel_LyingTogether: and of a store that grants locks that are held, which only
// clients at the same time can notice.
func TestModel_LyingTogether(t *testing.T) {
	tl := together(&grantsTwice{Store: memory.New(nil), last: map[session.ID]session.Lock{}})
	if tl.verdicts[porcupine.Illegal] == 0 {
		t.Errorf("locks granted twice are judged %s, %s", list(tl.verdicts), list(tl.findings))
	}
}

// together drives a few clients over a store in this process.
func together(store session.Store) *tally {
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
	for n := range 6 {
		c := &client{number: n, random: random(1, n), doors: []door{{now: yielding{store}, waits: yielding{store}}}, tally: tl, epoch: began}
		running.Go(func() {
			for range 40 {
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

// lies are stores that break one promise each, and a script that meets it.
var lies = []struct {
	name   string
	store  func(session.Store) session.Store
	script func(script)
	kind   string // what the rules find, besides porcupine
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
	{"answers a read from before", func(s session.Store) session.Store { return &remembers{Store: s} }, func(s script) {
		s.put(s.sub, session.Condition{})
		s.get(s.sub, false)
		s.put(s.sub, session.Condition{})
		s.get(s.sub, false)
	}, "stale"},
}

// TestModel_Lies: each broken promise turns the verdict red. The same scripts are
// green on the store beneath.
func TestModel_Lies(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			sound := newScript(memory.New(nil))
			lie.script(sound)
			if v, found := sound.verdict(); v != porcupine.Ok || len(found) > 0 {
				t.Errorf("the store beneath is %s, with %v", v, found)
			}
			s := newScript(lie.store(memory.New(nil)))
			lie.script(s)
			v, found := s.verdict()
			if v != porcupine.Illegal {
				t.Errorf("porcupine says %s\n%s", v, tail(s.sub.history))
			}
			if lie.kind != "" && (len(found) == 0 || found[len(found)-1].Kind != lie.kind && found[0].Kind != lie.kind) {
				t.Errorf("the rules find %v, no %s", found, lie.kind)
			}
		})
	}
}

// yielding makes calls of a store in this process overlap, as those of a network do.
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

// dropsOperation sends everything twice, as a proxy does that lost an answer, and
// under two operation ids, as it should not.
type dropsOperation struct{ session.Store }

func (d dropsOperation) Acquire(ctx context.Context, ref session.Ref, _ session.Operation) (session.Session, session.Lock, error) {
	_, _, _ = d.Store.Acquire(ctx, ref, session.NewOperation()) // the answer is lost
	return d.Store.Acquire(ctx, ref, session.NewOperation())
}

func (d dropsOperation) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, _ session.Operation) (session.Session, error) {
	_, _ = d.Store.Put(ctx, ref, w, cond, session.NewOperation()) // the answer is lost
	return d.Store.Put(ctx, ref, w, cond, session.NewOperation())
}

// grantsTwice takes a lock away from its holder for whoever comes next.
type grantsTwice struct {
	session.Store
	mu   sync.Mutex
	last map[session.ID]session.Lock
}

func (g *grantsTwice) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.Release(ctx, ref, g.last[ref.ID], session.NewOperation()) // it may be free
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

// remembers answers every read as the first, as a former principal would.
type remembers struct {
	session.Store
	first *session.Session
}

func (r *remembers) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	if r.first != nil {
		return *r.first, nil
	}
	s, err := r.Store.Get(ctx, ref, opts)
	if err == nil {
		r.first = &s
	}
	return s, err
}

// TestUnexplained: an outcome is unknown only where the session has forgotten enough.
func TestUnexplained(t *testing.T) {
	doubted := record{In: input{Verb: verbUpdate}, Out: output{Result: unknown}, Call: 100e6, Return: forever, Tries: 1, Doubts: []span{{100e6, 200e6}}}
	other := func(v verb, r result, from, to int64) record {
		return record{In: input{Verb: v}, Out: output{Result: r}, Call: from, Return: to, Tries: 1}
	}
	full := []record{doubted, other(verbAcquire, done, 90e6, 110e6), other(verbUpdate, done, 120e6, 130e6),
		other(verbPut, unknown, 140e6, forever), other(verbRelease, done, 150e6, 160e6)}
	for _, c := range []struct {
		name    string
		history []record
		want    int
	}{
		{"four others", full, 0},
		{"three others", full[:4], 1},
		{"reads take no place", append(full[:4:4], other(verbGet, done, 150e6, 160e6)), 1},
		{"refusals take no place", append(full[:4:4], other(verbAcquire, locked, 150e6, 160e6)), 1},
		{"too early", append(full[:4:4], other(verbRelease, done, 10e6, 20e6)), 1},
		{"too late", append(full[:4:4], other(verbRelease, done, 210e6, 220e6)), 1},
	} {
		if got := unexplained(c.history); len(got) != c.want {
			t.Errorf("%s: found %v, want %d", c.name, got, c.want)
		}
	}
}
