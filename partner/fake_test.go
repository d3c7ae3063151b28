package partner

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// fakePair is two scripted servers that share a replicated database.
type fakePair struct {
	t *testing.T

	mu       sync.Mutex
	extended bool
	epoch    int64
	server   string
	ends     [2]*fakeServer
}

// fakeServer is an endpoint whose answers a test sets.
type fakeServer struct {
	pair *fakePair
	name choose.Name

	// guarded by pair.mu
	role         choose.Role
	sequence     int64
	mirroring    string
	safety       string
	down         bool      // refuses connections
	frozen       bool      // accepts connections and never answers
	silentProbes bool      // answers calls but no probes
	pendingSince time.Time // since when a probe is not answered
	probes       []time.Time
	dials        int
	connected    bool
	takes        []string
	execs        []string
	onExec       func(statement string) error
	pools        []*fakePool
	ownRow       *fakeRow // its own epoch row, if it is not replicated
	session      string   // id of the mirroring session; empty: "guid"
	raiseErr     error
	witness      string
	openErr      error         // every checkout fails with this error
	busy         bool          // every checkout waits until its context ends
	slots        chan struct{} // if set: its capacity is the number of connections
	clock        time.Duration // its clock minus ours
}

// fakeRow is an epoch row.
type fakeRow struct {
	epoch  int64
	server string
}

var _ link.Endpoint = (*fakeServer)(nil)

// newFakePair returns a synchronized pair on the stock schema, with a as principal.
func newFakePair(t *testing.T) *fakePair {
	f := &fakePair{t: t}
	for i, n := range []choose.Name{choose.A, choose.B} {
		f.ends[i] = &fakeServer{pair: f, name: n, role: choose.RoleMirror, sequence: 1, mirroring: "SYNCHRONIZED", safety: "FULL"}
	}
	f.ends[0].role = choose.RolePrincipal
	return f
}

// set changes the script under its lock.
func (f *fakePair) set(change func(a, b *fakeServer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.ends[0], f.ends[1])
}

// seenServer is what one server and its pools received so far.
type seenServer struct {
	probes, dials int
	takes, execs  []string
	ownRow        fakeRow
	pools         []seenPool
}

type seenPool struct {
	aborted                         error
	idleClosed, warmed, out, broken int
}

// seen returns what a server received. It takes the locks, because the pair's goroutines go on.
func (f *fakePair) seen(n choose.Name) seenServer {
	s := f.ends[0]
	if n == choose.B {
		s = f.ends[1]
	}
	f.mu.Lock()
	l := seenServer{probes: len(s.probes), dials: s.dials, takes: slices.Clone(s.takes), execs: slices.Clone(s.execs)}
	if s.ownRow != nil {
		l.ownRow = *s.ownRow
	}
	pools := slices.Clone(s.pools)
	f.mu.Unlock()
	for _, p := range pools {
		p.mu.Lock()
		l.pools = append(l.pools, seenPool{aborted: p.aborted, idleClosed: p.idleClosed, warmed: p.warmed, out: len(p.out), broken: p.broken})
		p.mu.Unlock()
	}
	return l
}

// row returns the replicated epoch row.
func (f *fakePair) row() (epoch int64, server string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch, f.server
}

// failOver exchanges the roles.
func (f *fakePair) failOver() {
	f.set(func(a, b *fakeServer) {
		a.role, b.role = b.role, a.role
		a.sequence++
		b.sequence++
	})
}

// start returns a Pair on the two servers, which runs until the test ends.
func (f *fakePair) start(changes ...func(*Config)) *Pair {
	f.t.Helper()
	p := f.newPair(changes...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	})
	return p
}

// newPair returns a Pair that does not run.
func (f *fakePair) newPair(changes ...func(*Config)) *Pair {
	cfg := Config{Database: "ASPState", Partners: [2]link.PartnerConfig{{Address: "a:1433"}, {Address: "b:1433"}}}
	for _, m := range changes {
		m(&cfg)
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		f.t.Fatal(err)
	}
	m, err := openMemory(&cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return newPair(cfg, [2]link.Endpoint{f.ends[0], f.ends[1]}, m)
}

// startServing is like start, but waits until a principal serves.
func (f *fakePair) startServing(changes ...func(*Config)) *Pair {
	f.t.Helper()
	p := f.start(changes...)
	if err := p.WaitForPrincipal(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
	return p
}

func (s *fakeServer) Probe(ctx context.Context, a link.ProbeRequest) link.ProbeResult {
	return link.ProbeResult{Observation: s.observation(ctx, a)}
}

// observation returns what the probe learns.
func (s *fakeServer) observation(ctx context.Context, a link.ProbeRequest) choose.Observation {
	s.pair.mu.Lock()
	s.probes = append(s.probes, time.Now())
	o := choose.Observation{Partner: s.name, Role: choose.RoleUnknown}
	if a.Fresh || !s.connected {
		s.dials++
		s.connected, o.Fresh = true, true
	}
	down, frozen := s.down, s.frozen
	if s.silentProbes && s.pendingSince.IsZero() {
		s.pendingSince = time.Now()
	}
	pending := s.pendingSince
	s.pair.mu.Unlock()
	switch {
	case down:
		o.Err = errors.New("connection refused")
	case frozen:
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		o.Err = context.DeadlineExceeded
	case !pending.IsZero():
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		o.Err, o.PendingSince = context.DeadlineExceeded, pending
		return o
	default:
		time.Sleep(200 * time.Microsecond) // the round trip
	}
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	if o.Err != nil || s.down || s.frozen {
		s.connected = false
		o.Err = errors.Join(o.Err, errors.New("no answer"))
		return o
	}
	s.answerLocked(a, &o)
	return o
}

// answerLocked fills in what a server that runs answers.
func (s *fakeServer) answerLocked(a link.ProbeRequest, o *choose.Observation) {
	*o = choose.Observation{
		Partner: s.name, ServerName: "SQL" + strings.ToUpper(string(s.name)), Role: s.role, Sequence: s.sequence,
		Fresh: o.Fresh, Reachable: true, Latency: 200 * time.Microsecond, ClockOffset: s.clock,
		Known: true, State: "ONLINE", UserAccess: "MULTI_USER", Updateable: "READ_WRITE",
		Mirroring: s.mirroring, Safety: s.safety, Opens: s.role != choose.RoleMirror,
	}
	if s.role == choose.RoleMirror {
		o.State, o.Updateable = "RESTORING", ""
	}
	if s.role != choose.RoleUnknown {
		o.Session = "guid"
	}
	o.WitnessState = s.witness
	if s.session != "" {
		o.Session = s.session
	}
	f := s.pair
	if !o.Opens || !f.extended {
		return
	}
	if s.ownRow != nil {
		o.Extended, o.Epoch, o.EpochServer = true, s.ownRow.epoch, s.ownRow.server
		return
	}
	if a.TakeEpochAs != "" {
		s.takes = append(s.takes, a.TakeEpochAs)
		if f.server != a.TakeEpochAs {
			f.epoch, f.server = f.epoch+1, a.TakeEpochAs
		}
	}
	o.Extended, o.Epoch, o.EpochServer = true, f.epoch, f.server
}

func (s *fakeServer) Exec(_ context.Context, statement string) error {
	s.pair.mu.Lock()
	s.execs = append(s.execs, strings.TrimPrefix(statement, "ALTER DATABASE [ASPState] SET PARTNER "))
	f := s.onExec
	s.pair.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(statement)
}

func (s *fakeServer) Raise(_ context.Context, server string, above int64) error {
	f := s.pair
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.raiseErr != nil {
		return s.raiseErr
	}
	if s.ownRow != nil {
		s.ownRow.epoch, s.ownRow.server = max(s.ownRow.epoch, above)+1, server
		return nil
	}
	f.epoch, f.server = max(f.epoch, above)+1, server
	return nil
}

func (s *fakeServer) NewPool() link.Pool {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	p := &fakePool{server: s, out: make(map[*fakeLease]struct{})}
	s.pools = append(s.pools, p)
	return p
}

func (s *fakeServer) Close() {}

// fakePool returns leases without connections.
type fakePool struct {
	server *fakeServer

	mu           sync.Mutex
	aborted      error
	idleClosed   int
	warmed       int
	socketBroken bool  // the socket of every lease has failed
	received     int64 // bytes received on each lease
	out          map[*fakeLease]struct{}
	broken       int
}

type fakeLease struct {
	p      *fakePool
	cancel context.CancelCauseFunc
	slots  chan struct{}
}

func (p *fakePool) Get(ctx context.Context, cancel context.CancelCauseFunc) (link.Lease, error) {
	p.server.pair.mu.Lock()
	err, busy, room := p.server.openErr, p.server.busy, p.server.slots
	p.server.pair.mu.Unlock()
	if busy {
		<-ctx.Done()
		return nil, classify.ErrPoolBusy
	}
	if room != nil {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil, classify.ErrPoolBusy
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aborted != nil {
		return nil, errors.New("sql: database is closed")
	}
	if err != nil {
		return nil, err
	}
	l := &fakeLease{p, cancel, room}
	p.out[l] = struct{}{}
	return l, nil
}

func (p *fakePool) Warm(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warmed += n
}

func (p *fakePool) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idleClosed++
}

func (p *fakePool) Abort(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aborted = cause
	for l := range p.out {
		l.cancel(cause)
	}
}

func (p *fakePool) Stats() sql.DBStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sql.DBStats{OpenConnections: len(p.out), InUse: len(p.out)}
}

func (l *fakeLease) Conn() *sql.Conn { return nil }

func (l *fakeLease) Received() int64 {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.received
}

func (l *fakeLease) Broke() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.socketBroken
}

func (l *fakeLease) Release(broken bool) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	delete(l.p.out, l)
	if l.slots != nil {
		<-l.slots
	}
	if broken {
		l.p.broken++
	}
}

// sqlErr returns a reply with these errors, first to last. The driver's error shows the last.
func sqlErr(class uint8, numbers ...int32) error {
	var all []mssql.Error
	for _, n := range numbers {
		all = append(all, mssql.Error{Number: n, Class: class})
	}
	e := all[len(all)-1]
	e.All = all
	return e
}
