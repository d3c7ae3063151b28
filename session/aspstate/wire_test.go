package aspstate_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// disturbance is a disturbance of the wire to the principal.
type disturbance struct {
	name   string
	toxics []toxic
	off    bool           // the wire accepts no connections and closes those that it has
	also   embedded.Fault // a fault of the principal itself, without which the toxic would not show
	cuts   bool           // calls lose their answers
	deaf   bool           // nothing reaches the server, not even an operator's statement
	mute   bool           // nothing comes back, not even the end of a connection
}

// disturbances returns toxiproxy's toxics, in both directions if that makes a difference.
func disturbances() []disturbance {
	both := func(kind string, attributes map[string]any) []toxic {
		return []toxic{{kind, "upstream", attributes}, {kind, "downstream", attributes}}
	}
	one := func(kind, direction string, attributes map[string]any) []toxic {
		return []toxic{{kind, direction, attributes}}
	}
	return []disturbance{
		{name: "latency with jitter", toxics: both("latency", map[string]any{"latency": 8, "jitter": 6})},
		{name: "bandwidth", toxics: both("bandwidth", map[string]any{"rate": 400})},
		{name: "slicer", toxics: both("slicer", map[string]any{"average_size": 900, "size_variation": 600, "delay": 200})},
		{name: "slow close", toxics: both("slow_close", map[string]any{"delay": 700}), also: embedded.Sever, cuts: true},
		{name: "half-open, requests vanish", toxics: one("timeout", "upstream", map[string]any{"timeout": 0}), cuts: true, deaf: true, mute: true},
		{name: "half-open, answers vanish", toxics: one("timeout", "downstream", map[string]any{"timeout": 0}), cuts: true, deaf: true, mute: true},
		{name: "reset at a request", toxics: one("reset_peer", "upstream", map[string]any{"timeout": 0}), cuts: true, deaf: true},
		{name: "reset at an answer", toxics: one("reset_peer", "downstream", map[string]any{"timeout": 20}), cuts: true, deaf: true},
		{name: "cut in mid-request", toxics: one("limit_data", "upstream", map[string]any{"bytes": 5000}), cuts: true, deaf: true},
		{name: "cut in mid-answer", toxics: one("limit_data", "downstream", map[string]any{"bytes": 5000}), cuts: true, deaf: true},
		{name: "no listener", off: true, cuts: true, deaf: true},
	}
}

// TestWire: with a disturbed wire, calls are slow but do not fail. Nothing is lost or done twice, and no lock is held
// twice. The wire to the principal is disturbed under load and repaired. Then it is disturbed again while the
// partners exchange roles, and they change back.
func TestWire(t *testing.T) {
	servers := aspstatetest.Start(t)
	wires := map[partner.Name]*wire{"a": openWire(t, servers.Partner("a")), "b": openWire(t, servers.Partner("b"))}
	g := &ground{servers, wires["a"], followWires(t, wires)}
	for _, ill := range disturbances() {
		if !t.Run(ill.name, func(t *testing.T) { g.runThrough(t, ill) }) {
			return // after this failure, the next disturbance would prove nothing
		}
	}
}

// ground is a pair of servers with a wire to the principal a, and a Pair on them.
type ground struct {
	servers *embedded.Pair
	wire    *wire
	pair    *partner.Pair
}

// runThrough runs the load through a disturbance, and then restores the first state.
func (g *ground) runThrough(t *testing.T, ill disturbance) {
	l := startLoad(t, g.pair)
	l.goesOn()

	l.suffers(ill, g)
	ill.end(t, g.wire)
	awaitPrincipal(t, g.pair, "a")
	l.goesOn()

	l.suffers(ill, g)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	failOver := g.pair.Failover
	if ill.deaf {
		failOver = g.servers.Partner("a").Failover
	}
	if err := failOver(ctx); err != nil {
		t.Fatalf("fail over on the wire that is ill: %v", err)
	}
	awaitPrincipal(t, g.pair, "b")
	l.goesOn()

	ill.end(t, g.wire)
	if err := g.servers.Partner("b").Failover(ctx); err != nil {
		t.Fatalf("fail back: %v", err)
	}
	awaitPrincipal(t, g.pair, "a")
	l.goesOn()
	l.end()
	if ill.cuts && l.resent.count() == 0 {
		t.Error("no call was sent again: the test shows nothing")
	}
}

// begin disturbs the wire.
func (ill disturbance) begin(t *testing.T, w *wire) {
	t.Helper()
	for _, x := range ill.toxics {
		w.add(t, x)
	}
	if ill.off {
		w.proxy.Stop()
	}
}

// end repairs the wire. Bytes that toxiproxy dropped do not come back, so it closes these connections.
func (ill disturbance) end(t *testing.T, w *wire) {
	t.Helper()
	for _, x := range ill.toxics {
		w.remove(t, x)
	}
	if ill.off {
		w.enable(t)
	}
}

// followWires returns a Pair that uses the wires, with budgets for a test.
func followWires(t *testing.T, wires map[partner.Name]*wire) *partner.Pair {
	t.Helper()
	cfg := partner.Config{
		Database: embedded.DatabaseName, Topology: "embedded", Hold: partner.HoldConfig{Window: callTime},
		Budgets: partner.Budgets{Dial: 200 * time.Millisecond, Login: 400 * time.Millisecond, Probe: 300 * time.Millisecond, Attempt: 500 * time.Millisecond},
	}
	for i, name := range []partner.Name{partner.A, partner.B} {
		cfg.Partners[i] = partner.PartnerConfig{Name: name, DSN: &wires[name].dsn}
	}
	pair, err := partner.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pair.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the pair ended with %v", err)
		}
	})
	awaitPrincipal(t, pair, "a")
	return pair
}

// awaitPrincipal waits until calls go to that partner.
func awaitPrincipal(t *testing.T, pair *partner.Pair, name partner.Name) {
	t.Helper()
	events, cancel := pair.Subscribe()
	defer cancel()
	limit := time.After(patience)
	for pair.Status().Principal != name {
		select {
		case <-events:
		case <-limit:
			t.Fatalf("%s is not principal: %+v", name, pair.Status())
		}
	}
}

// The load: few clients on many sessions, so that a session remembers every operation that may still be sent again.
const (
	loadClients  = 4
	loadSessions = 3 * loadClients
	callTime     = 10 * time.Second // the deadline of each call
	stretch      = 12               // number of cycles that show that the load continues
)

// load is a number of clients that lock a session, count in it and store it, again and again. The item of each
// session is a counter: every acknowledged cycle adds exactly one.
type load struct {
	t        *testing.T
	store    *aspstate.Store
	sessions [loadSessions]counter
	stop     context.CancelFunc
	clients  sync.WaitGroup

	cycles  gauge // cycles that succeeded
	running gauge // attempts in progress
	cut     gauge // attempts that ended without an answer
	resent  gauge // attempts of calls that may have been executed before
}

// counter is a session, and what the test knows of it.
type counter struct {
	ref          session.Ref
	size         int // bytes of the item
	holder       atomic.Int64
	acknowledged atomic.Int64
}

func startLoad(t *testing.T, pair *partner.Pair) *load {
	t.Helper()
	l := &load{t: t}
	l.store = openStore(t, &observed{pair, l})
	app := session.Application{Name: "/lm/w3svc/1/root", LockTimeout: time.Hour}.WithDefaults()
	for i := range l.sessions {
		c := &l.sessions[i]
		c.ref, c.size = session.Ref{App: &app, ID: session.NewID()}, []int{100, 9000}[i%2] // for the short column and the long one
		if _, err := l.store.Put(t.Context(), c.ref, session.Write{Item: make([]byte, c.size)}, session.Condition{}, session.NewOperation()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for client := range loadClients {
		l.clients.Go(func() {
			for ctx.Err() == nil {
				l.cycle(int64(client+1), &l.sessions[rand.N(loadSessions)])
			}
		})
	}
	t.Cleanup(func() { stop(); l.clients.Wait() })
	return l
}

// cycle is one cycle of a client on one session.
func (l *load) cycle(client int64, c *counter) {
	var item session.Session
	var lock session.Lock
	if !l.call("acquire", func(ctx context.Context) (err error) {
		item, lock, err = l.store.Acquire(ctx, c.ref, session.NewOperation())
		return err
	}) {
		return
	}
	if !c.holder.CompareAndSwap(0, client) {
		l.t.Errorf("client %d got a lock that client %d holds", client, c.holder.Load())
		return
	}
	binary.BigEndian.PutUint64(item.Item, binary.BigEndian.Uint64(item.Item)+1)
	c.holder.Store(0) // the release may be executed long before its answer arrives
	if l.call("update", func(ctx context.Context) error {
		_, err := l.store.Update(ctx, c.ref, lock, session.Write{Item: item.Item}, false, session.NewOperation())
		return err
	}) {
		c.acknowledged.Add(1)
		l.cycles.add(1)
	}
}

// call makes one call with its deadline. "Locked" is an answer, not a failure.
func (l *load) call(what string, f func(ctx context.Context) error) (done bool) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	err := f(ctx)
	if err != nil && !errors.Is(err, session.ErrLocked) {
		l.t.Errorf("%s failed after %v: %v", what, time.Since(began), err)
	}
	if d := time.Since(began); d > callTime+time.Second {
		l.t.Errorf("%s took %v, and its deadline was after %v", what, d, callTime)
	}
	return err == nil
}

// goesOn waits for some more cycles.
func (l *load) goesOn() {
	l.t.Helper()
	l.cycles.reach(l.t, "cycles", l.cycles.count()+stretch)
}

// suffers disturbs the wire and waits until this shows.
func (l *load) suffers(ill disturbance, g *ground) {
	l.t.Helper()
	before := l.cut.count()
	ill.begin(l.t, g.wire)
	if ill.also.String() != "" {
		if err := g.servers.Partner("a").Inject(l.t.Context(), ill.also); err != nil {
			l.t.Fatal(err)
		}
	}
	switch {
	case !ill.cuts:
		l.goesOn()
	case ill.mute: // every attempt on such a wire times out, and no new one begins
		l.cut.reach(l.t, "attempts without an answer", before+1)
		l.running.await(l.t, "attempts under way", func(n int) bool { return n == 0 })
	default:
		l.cut.reach(l.t, "attempts without an answer", before+1)
	}
}

// end stops the load and compares the counters.
func (l *load) end() {
	l.t.Helper()
	l.stop()
	l.clients.Wait()
	for i := range l.sessions {
		c := &l.sessions[i]
		now, err := l.store.Get(l.t.Context(), c.ref, session.GetOptions{})
		if err != nil {
			l.t.Fatalf("read session %d at the end: %v", i, err)
		}
		if got, want := int64(binary.BigEndian.Uint64(now.Item)), c.acknowledged.Load(); got != want || len(now.Item) != c.size {
			l.t.Errorf("session %d counts %d in %d bytes, acknowledged were %d in %d", i, got, len(now.Item), want, c.size)
		}
	}
}

// observed counts the results of attempts.
type observed struct {
	aspstate.Pair
	load *load
}

// Do implements aspstate.Pair.
func (o *observed) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return o.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		if a.Resent {
			o.load.resent.add(1)
		}
		o.load.running.add(1)
		err := op(ctx, a)
		o.load.running.add(-1)
		if err != nil && !answered(err) {
			o.load.cut.add(1)
		}
		return err
	})
}

// answered reports whether a failed attempt had an answer, such as a refusal.
func answered(err error) bool {
	_, refused := errors.AsType[mssql.Error](err)
	return refused || errors.Is(err, session.ErrLocked) || errors.Is(err, partner.ErrMoved) || errors.Is(err, partner.ErrLate)
}

// gauge is a number whose changes a goroutine can wait for. The zero value is ready to use.
type gauge struct {
	mu      sync.Mutex
	n       int
	changed chan struct{} // closed and replaced at every change; nil: no goroutine waits
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += n
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// read returns the number, and a channel that is closed when it changes.
func (g *gauge) read() (n int, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.n, g.changed
}

func (g *gauge) count() int {
	n, _ := g.read()
	return n
}

// reach waits until the number is at least want.
func (g *gauge) reach(t *testing.T, what string, want int) {
	t.Helper()
	g.await(t, what, func(n int) bool { return n >= want })
}

// await waits until ok returns true for the number.
func (g *gauge) await(t *testing.T, what string, ok func(n int) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		n, changed := g.read()
		if ok(n) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%d %s, and no more change", n, what)
		}
	}
}
