package partner

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// wirePair is a scripted pair that speaks TDS on loopback: what this package
// says to a server, and no more.
type wirePair struct {
	mu        sync.Mutex
	principal int
	sequence  int64
	epoch     int64
	taken     string
	ends      [2]*wireServer
	together  *gathering // of logins to the database; nil: each goes on at once
}

// gathering is logins that wait for each other.
type gathering struct {
	missing int
	all     chan struct{} // closed when all are there
}

// wireServer is one of the two.
type wireServer struct {
	pair   *wirePair
	index  int
	addr   *net.TCPAddr
	frozen chan struct{} // a call blocks until it is closed, whatever its client asks; nil: not frozen
	hung   chan struct{} // gets a value when a call of Work has begun to block
	slow   chan struct{} // a probe blocks until it is closed, and nothing else does; nil: not slow
	asked  int           // probes
	logins int           // to master
	conns  map[net.Conn]bool
	calls  int
}

var _ tds.Handler = (*wireServer)(nil)

func newWirePair(t testing.TB) *wirePair {
	w := &wirePair{sequence: 1}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range w.ends {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &wireServer{pair: w, index: i, addr: ln.Addr().(*net.TCPAddr), hung: make(chan struct{}, 100), conns: make(map[net.Conn]bool)}
		w.ends[i] = s
		wg.Go(func() { _ = (&tds.Server{Handler: s}).Serve(ctx, ln) })
	}
	t.Cleanup(func() {
		for i := range w.ends {
			w.thaw(i)
		}
		cancel()
		wg.Wait()
	})
	return w
}

// unhurried are budgets that a busy machine keeps, too: where a test is about something
// that ends, an event ends it, and it is over long before these are.
func unhurried() Budgets {
	return Budgets{Dial: patience, Login: patience, Probe: 10 * time.Second, Attempt: patience, Grace: 20 * time.Millisecond}
}

// patience bounds what a test waits for.
const patience = 30 * time.Second

// start runs a Pair on the two until the test ends.
func (w *wirePair) start(t testing.TB) *Pair { return w.startWith(t, unhurried()) }

// startWith is start with other budgets.
func (w *wirePair) startWith(t testing.TB, b Budgets) *Pair {
	cfg := Config{Database: "ASPState", Budgets: b, MonitorSteady: 20 * time.Millisecond}
	for i, s := range w.ends {
		dsn := dsnFor(t, s.addr, "disable")
		cfg.Partners[i].DSN = &dsn
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	waiting, enough := context.WithTimeout(t.Context(), patience)
	defer enough()
	if err := p.WaitForPrincipal(waiting); err != nil {
		t.Fatalf("%v: %+v", err, p.Status())
	}
	return p
}

// failOver exchanges the roles; kill also ends every session with the old principal's database.
func (w *wirePair) failOver(kill bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.ends[w.principal]
	w.principal = 1 - w.principal
	w.sequence++
	if kill {
		old.resetLocked()
	}
}

// resetLocked breaks every connection as a crash does, by RST.
func (s *wireServer) resetLocked() {
	for c := range s.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	clear(s.conns)
}

func (w *wirePair) freeze(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[i].frozen = make(chan struct{})
}

func (w *wirePair) thaw(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ends[i].frozen != nil {
		close(w.ends[i].frozen)
		w.ends[i].frozen = nil
	}
}

// gather has the next n logins to the database wait for each other. A pool that makes
// n connections at once then has n: none is given back, for the next to take, before all are being made.
func (w *wirePair) gather(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.together = &gathering{n, make(chan struct{})}
}

// gathered waits until the last of them is there.
func (w *wirePair) gathered(ctx context.Context) {
	w.mu.Lock()
	g := w.together
	if g != nil {
		if g.missing--; g.missing == 0 {
			close(g.all)
			w.together = nil
		}
	}
	w.mu.Unlock()
	if g != nil {
		select {
		case <-g.all:
		case <-ctx.Done():
		}
	}
}

func (s *wireServer) Login(ctx context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	if l.Database != "master" {
		s.pair.gathered(ctx)
	}
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	if l.Database != "master" && s.pair.principal != s.index {
		return nil, tds.LoginReply{}, &tds.Error{Number: 4063, Class: 11, Message: "Cannot open database"}
	}
	if l.Database == "master" {
		s.logins++
	}
	s.conns[l.Conn] = true
	return &wireSession{s, l.Conn}, tds.LoginReply{ServerName: "SQL", Database: l.Database}, nil
}

type wireSession struct {
	s *wireServer
	c net.Conn
}

var _ tds.Session = (*wireSession)(nil)

func (s *wireSession) Close() {
	s.s.pair.mu.Lock()
	defer s.s.pair.mu.Unlock()
	delete(s.s.conns, s.c)
}
func (*wireSession) Begin(context.Context, byte, string) (uint64, error) {
	return 0, errors.New("none here")
}
func (*wireSession) Commit(context.Context) error   { return errors.New("none here") }
func (*wireSession) Rollback(context.Context) error { return errors.New("none here") }
func (*wireSession) Reset(context.Context) error    { return nil }

// blocked waits while the server is frozen, deaf to cancel requests.
func (s *wireSession) blocked(by string) {
	s.s.pair.mu.Lock()
	frozen := s.s.frozen
	s.s.pair.mu.Unlock()
	if frozen != nil {
		if by == "Work" {
			s.s.hung <- struct{}{}
		}
		<-frozen
	}
}

func (s *wireSession) Batch(_ context.Context, text string, w *tds.Response) error {
	s.blocked(text)
	p := s.s.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	switch text {
	case forDatabase(queryEpoch, "ASPState"):
		return s.epochLocked(w)
	case "ALTER DATABASE [ASPState] SET PARTNER FAILOVER":
		if p.principal != s.s.index {
			return &tds.Error{Number: 1470, Class: 16, Message: "The alter database for this partner config values may only be initiated on the current principal server."}
		}
		p.principal, p.sequence = 1-p.principal, p.sequence+1
		return nil
	}
	return &tds.Error{Number: 50000, Class: 16, Message: "unexpected: " + text}
}

func (s *wireSession) epochLocked(w *tds.Response) error {
	if s.s.pair.principal != s.s.index {
		return &tds.Error{Number: 954, Class: 14, Message: "It is acting as a mirror database."}
	}
	w.Columns(tds.Column{Name: "Epoch", Type: tds.BigInt}, tds.Column{Name: "Server", Type: tds.NVarChar(256)})
	if err := w.Row(s.s.pair.epoch, s.s.pair.taken); err != nil {
		return err
	}
	w.Done(1)
	return nil
}

// lagged waits while the server is slow to answer probes, or until the connection ends.
func (s *wireSession) lagged(ctx context.Context) {
	s.s.pair.mu.Lock()
	slow := s.s.slow
	s.s.asked++
	s.s.pair.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
		}
	}
}

func (s *wireSession) Call(ctx context.Context, c *tds.Call, w *tds.Response) error {
	s.blocked(c.Name)
	if c.ProcID == tds.ProcExecuteSQL && c.Params[0].Value == queryStatus {
		s.lagged(ctx)
	}
	p := s.s.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.ProcID == tds.ProcExecuteSQL && c.Params[0].Value == queryStatus && c.Params[2].Name == "@db" && c.Params[2].Value == "ASPState":
		return s.statusLocked(w)
	case c.Name == "[ASPState].dbo.MirrorState_TakeEpoch_1" && c.Params[0].Name == "@server":
		if by := c.Params[0].Value.(string); by != p.taken {
			p.epoch, p.taken = p.epoch+1, by
		}
		return s.epochLocked(w)
	case c.Name == "[ASPState].dbo.MirrorState_RaiseEpoch_1" && c.Params[0].Name == "@server" && c.Params[1].Name == "@above":
		p.epoch, p.taken = max(p.epoch, c.Params[1].Value.(int64))+1, c.Params[0].Value.(string)
		return s.epochLocked(w)
	case c.Name == "Work" && p.principal == s.s.index:
		s.s.calls++
		w.ReturnStatus(int32(s.s.calls))
		return nil
	}
	return &tds.Error{Number: 954, Class: 14, Message: "It is acting as a mirror database."}
}

// statusLocked answers queryStatus; column by column, as its comment says.
func (s *wireSession) statusLocked(w *tds.Response) error {
	names := strings.Fields("state_desc is_read_only user_access_desc updateability mirroring_guid mirroring_role_desc mirroring_state_desc " +
		"mirroring_role_sequence mirroring_safety_level_desc mirroring_partner_name mirroring_partner_instance mirroring_witness_state_desc mirroring_witness_name utc_now server_name replica_id")
	types := map[string]tds.Type{"is_read_only": tds.Bit, "mirroring_role_sequence": tds.Int, "utc_now": tds.DateTime2(7)}
	cols := make([]tds.Column, len(names))
	for i, n := range names {
		cols[i] = tds.Column{Name: n, Type: tds.NVarChar(128)}
		if t, ok := types[n]; ok {
			cols[i].Type = t
		}
	}
	state, update, role := "ONLINE", any("READ_WRITE"), "PRINCIPAL"
	if s.s.pair.principal != s.s.index {
		state, update, role = "RESTORING", nil, "MIRROR"
	}
	w.Columns(cols...)
	err := w.Row(state, false, "MULTI_USER", update, "4F6C2C38-0000-0000-0000-000000000000", role, "SYNCHRONIZED",
		s.s.pair.sequence, "FULL", "TCP://other:5022", "OTHER", nil, "TCP://w:5022", time.Now().UTC().Add(time.Hour), "SQL"+string(rune('A'+s.s.index)), nil)
	w.Done(1)
	return err
}

// work is a procedure call as the store makes them.
func work(ctx context.Context, a *Attempt) error {
	_, err := a.Conn.ExecContext(ctx, "Work")
	return err
}

func TestWire_ProbeTakeAndCall(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
		if a.Partner != A || a.Epoch != 1 || !a.Extended {
			t.Errorf("attempt %+v", *a)
		}
		if d := time.Until(a.Sent); d < 59*time.Minute || d > 61*time.Minute {
			t.Errorf("the server's clock is an hour ahead; sent at %s of it", d)
		}
		return work(ctx, a)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	o := p.view.obs[0]
	p.mu.Unlock()
	if o.ServerName != "SQLA" || o.Sequence != 1 || o.Safety != "FULL" || o.PartnerName != "TCP://other:5022" || o.WitnessState != "" || o.WitnessName != "TCP://w:5022" || o.Updateable != "READ_WRITE" {
		t.Errorf("observed %+v", o)
	}
}

func TestWire_Accept(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	if err := p.WaitForPrincipal(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Another epoch than its own was accepted, as by a proxy that followed a copy now lost.
	select {
	case p.orders <- Accepted{Partner: B, Extended: true, Epoch: 40}:
	case <-t.Context().Done():
	}
	if err := p.Accept(t.Context(), A, "b is lost"); err != nil {
		t.Fatal(err)
	}
	if s := p.Status(); s.Principal != A || s.Epoch != 41 || s.Partners[0].LastError != "" {
		t.Errorf("%+v", s)
	}
	if err := p.Do(t.Context(), Call{Write: true}, work); err != nil {
		t.Error(err)
	}
}

func TestWire_Failover(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	for i := range 6 {
		if err := p.Do(t.Context(), Call{Write: true}, work); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			w.failOver(i%4 == 0) // by a crash, and by mere refusals
		} else if err := p.Failover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Status(); s.Epoch != 7 || s.RoleSequence != 7 {
		t.Errorf("after six role switches: %+v", s)
	}
}

// A frozen principal answers neither calls nor cancel requests; the driver
// alone would wait five seconds more.
func TestWire_FrozenPrincipal(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Fatal(err)
	}
	w.freeze(0)
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- p.Do(t.Context(), Call{Write: true}, work) }()
	<-w.ends[0].hung
	w.failOver(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s", d)
	}
	if s := p.Status(); s.Principal != B || s.Epoch != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWire_UnansweredCancelEndsWithTheGrace(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	hung := make(chan struct{})
	go func() { defer close(hung); <-w.ends[0].hung; cancel() }()
	err := p.Do(ctx, Call{Write: true}, func(ctx context.Context, a *Attempt) error {
		w.freeze(0)
		return work(ctx, a)
	})
	<-hung
	if !errors.Is(err, context.Canceled) || OutcomeOf(err) != Unknown {
		t.Errorf("got %v, %s", err, OutcomeOf(err))
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s: the driver's own five seconds", d)
	}
}

// The driver may say that a request did not leave whole, and database/sql would
// then send it again by itself. On a checked-out connection it must not: only
// Do sends again, and tells the op so.
func TestWire_NobodyElseSendsAgain(t *testing.T) {
	w := newWirePair(t)
	w.gather(drainFirst)
	p := w.start(t)
	allIdle(t, p)
	for range 20 {
		if err := p.Do(t.Context(), Call{}, work); err != nil {
			t.Fatal(err)
		}
		ops := 0
		err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
			if ops++; ops == 1 {
				w.mu.Lock()
				w.ends[0].resetLocked()
				w.ends[0].calls = 0
				w.mu.Unlock()
			}
			return work(ctx, a)
		})
		w.mu.Lock()
		calls := w.ends[0].calls
		w.mu.Unlock()
		if err != nil || ops != 2 || calls != 1 {
			t.Fatalf("%v after %d attempts; the server ran %d", err, ops, calls)
		}
	}
}

// allIdle waits until the connections that a term begins with, gathered, are made and given back.
func allIdle(t *testing.T, p *Pair) {
	t.Helper()
	limit := time.After(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for s := (sql.DBStats{}); s.OpenConnections < drainFirst || s.InUse > 0; s = p.hold.serving().pool.(*sqlPool).db.Stats() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatal("connections are still being made")
		}
	}
}

func TestWire_PanicWithRowsOpen(t *testing.T) {
	w := newWirePair(t)
	p := w.start(t)
	began := time.Now()
	func() {
		defer func() { _ = recover() }()
		_ = p.Do(t.Context(), Call{}, func(ctx context.Context, a *Attempt) error {
			rows, err := a.Conn.QueryContext(ctx, "Work")
			if err != nil || rows.Err() != nil {
				t.Error(err, rows.Err())
			}
			panic("bug")
		})
		t.Error("the panic was swallowed")
	}()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("the connection came back after %s", d)
	}
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Error(err)
	}
}

func TestWire_PurgeClosesIdleConnections(t *testing.T) {
	w := newWirePair(t)
	dsn := dsnFor(t, w.ends[0].addr, "disable")
	pool := newPool(newConnector(A, dsn, "ASPState", Config{}.withDefaults().Budgets), 4)
	defer pool.cut(errTermOver)
	var out []lease
	for range 3 {
		l, err := pool.get(t.Context(), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	for _, l := range out[1:] {
		l.release(false)
	}
	if n := pool.db.Stats().OpenConnections; n != 3 {
		t.Fatalf("%d open, want 3", n)
	}
	pool.purge()
	if n := pool.db.Stats().OpenConnections; n != 1 {
		t.Errorf("%d open after the purge, want the one in use", n)
	}
	out[0].release(true)
	if n := pool.db.Stats().OpenConnections; n != 0 {
		t.Errorf("%d open after a broken one came back", n)
	}
}

func TestWire_CutEndsWhoeverHoldsAConnection(t *testing.T) {
	w := newWirePair(t)
	dsn := dsnFor(t, w.ends[0].addr, "disable")
	pool := newPool(newConnector(A, dsn, "ASPState", Config{}.withDefaults().Budgets), 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	l, err := pool.get(ctx, cancel)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := pool.get(t.Context(), func(error) {})
		waiting <- err
	}()
	w.freeze(0)
	hanging := make(chan error, 1)
	go func() {
		_, err := l.conn().ExecContext(ctx, "Work")
		hanging <- err
	}()
	<-w.ends[0].hung
	pool.cut(errTermOver)
	if err := <-hanging; err == nil || !errors.Is(context.Cause(ctx), errTermOver) {
		t.Errorf("the one that hung: %v, its context ended by %v", err, context.Cause(ctx))
	}
	l.release(true)
	if err := <-waiting; err == nil || Classify(err, Connecting) != Down {
		t.Errorf("the one that waited: %v", err)
	}
	if _, err := pool.get(t.Context(), func(error) {}); err == nil {
		t.Error("a connection of a pool that is over")
	}
	if _, err := pool.c.Connect(t.Context()); !errors.Is(err, errTermOver) {
		t.Errorf("a login that ended after the cut: %v", err)
	}
}
