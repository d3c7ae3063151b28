package tdstest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// Pair is a scripted pair of servers. Its database has the mirrorstate extension. Server 0 is the principal at
// first.
type Pair struct {
	statusQuery, epochQuery string // the texts of the queries that are answered

	Mu          sync.Mutex // guards everything below, and the servers
	principal   int
	sequence    int64
	epoch       int64
	epochServer string
	Servers     [2]*server    // server 0 is partner a
	barrier     *loginBarrier // logins to the database wait here; nil: they do not wait
}

// loginBarrier is where logins wait for each other.
type loginBarrier struct {
	missing int
	all     chan struct{} // closed when all have come
}

// server is one of the two servers.
type server struct {
	pair    *Pair
	index   int
	Addr    *net.TCPAddr  // where it listens
	frozen  chan struct{} // every request waits until it is closed; nil: not frozen
	Blocked chan struct{} // gets a value when a call of Work begins to wait while frozen
	slow    chan struct{} // only probes wait until it is closed; nil: not slow
	logins  int           // logins to master
	conns   map[net.Conn]bool
	Calls   int // successful calls of Work
}

var _ tds.Handler = (*server)(nil)

// NewPair starts a pair that runs until the test ends. status is the text of the query for the role, epoch that
// of the query for the epoch row of ASPState.
func NewPair(t testing.TB, status, epoch string) *Pair {
	w := &Pair{statusQuery: status, epochQuery: epoch, sequence: 1}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range w.Servers {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &server{pair: w, index: i, Addr: ln.Addr().(*net.TCPAddr), Blocked: make(chan struct{}, 100), conns: make(map[net.Conn]bool)}
		w.Servers[i] = s
		wg.Go(func() { _ = (&tds.Server{Handler: s}).Serve(ctx, ln) })
	}
	t.Cleanup(func() {
		for i := range w.Servers {
			w.unfreeze(i)
		}
		cancel()
		wg.Wait()
	})
	return w
}

// FailOver exchanges the roles. With kill it also breaks every connection to the old principal.
func (w *Pair) FailOver(kill bool) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	old := w.Servers[w.principal]
	w.principal = 1 - w.principal
	w.sequence++
	if kill {
		old.ResetLocked()
	}
}

// ResetLocked breaks every connection with a TCP reset, as a crash does. The caller holds Mu.
func (s *server) ResetLocked() {
	for c := range s.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	clear(s.conns)
}

// Freeze makes server i answer nothing, not even cancel requests, until the test ends.
func (w *Pair) Freeze(i int) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Servers[i].frozen = make(chan struct{})
}

// unfreeze makes server i answer again.
func (w *Pair) unfreeze(i int) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.Servers[i].frozen != nil {
		close(w.Servers[i].frozen)
		w.Servers[i].frozen = nil
	}
}

// HoldLogins makes the next n logins to the database wait for each other. So a pool that makes n connections at
// once really has n: none is given back and used again before all are being made.
func (w *Pair) HoldLogins(n int) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.barrier = &loginBarrier{n, make(chan struct{})}
}

// waitAtBarrier waits until all expected logins have come.
func (w *Pair) waitAtBarrier(ctx context.Context) {
	w.Mu.Lock()
	b := w.barrier
	if b != nil {
		if b.missing--; b.missing == 0 {
			close(b.all)
			w.barrier = nil
		}
	}
	w.Mu.Unlock()
	if b != nil {
		select {
		case <-b.all:
		case <-ctx.Done():
		}
	}
}

// Login implements tds.Handler. The mirror refuses a login to the database, as SQL Server does.
func (s *server) Login(ctx context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	if l.Database != "master" {
		s.pair.waitAtBarrier(ctx)
	}
	s.pair.Mu.Lock()
	defer s.pair.Mu.Unlock()
	if l.Database != "master" && s.pair.principal != s.index {
		return nil, tds.LoginReply{}, &tds.Error{Number: 4063, Class: 11, Message: "Cannot open database"}
	}
	if l.Database == "master" {
		s.logins++
	}
	s.conns[l.Conn] = true
	return &session{s, l.Conn}, tds.LoginReply{ServerName: "SQL", Database: l.Database}, nil
}

// session is one connection to a server.
type session struct {
	server *server
	conn   net.Conn
}

var _ tds.Session = (*session)(nil)

// Close implements tds.Session.
func (s *session) Close() {
	s.server.pair.Mu.Lock()
	defer s.server.pair.Mu.Unlock()
	delete(s.server.conns, s.conn)
}

// Begin implements tds.Session: transactions are not supported.
func (*session) Begin(context.Context, byte, string) (uint64, error) {
	return 0, errors.New("transactions are not supported")
}

// Commit implements tds.Session.
func (*session) Commit(context.Context) error { return errors.New("transactions are not supported") }

// Rollback implements tds.Session.
func (*session) Rollback(context.Context) error { return errors.New("transactions are not supported") }

// Reset implements tds.Session.
func (*session) Reset(context.Context) error { return nil }

// waitWhileFrozen waits while the server is frozen. It ignores cancel requests.
func (s *session) waitWhileFrozen(by string) {
	s.server.pair.Mu.Lock()
	frozen := s.server.frozen
	s.server.pair.Mu.Unlock()
	if frozen != nil {
		if by == "Work" {
			s.server.Blocked <- struct{}{}
		}
		<-frozen
	}
}

// Batch implements tds.Session: it answers the query for the epoch and a failover.
func (s *session) Batch(_ context.Context, text string, w *tds.Response) error {
	s.waitWhileFrozen(text)
	p := s.server.pair
	p.Mu.Lock()
	defer p.Mu.Unlock()
	switch text {
	case p.epochQuery:
		return s.epochLocked(w)
	case "ALTER DATABASE [ASPState] SET PARTNER FAILOVER":
		if p.principal != s.server.index {
			return &tds.Error{Number: 1470, Class: 16, Message: "The alter database for this partner config values may only be initiated on the current principal server."}
		}
		p.principal, p.sequence = 1-p.principal, p.sequence+1
		return nil
	}
	return &tds.Error{Number: 50000, Class: 16, Message: "unexpected: " + text}
}

func (s *session) epochLocked(w *tds.Response) error {
	if s.server.pair.principal != s.server.index {
		return &tds.Error{Number: 954, Class: 14, Message: "It is acting as a mirror database."}
	}
	w.Columns(tds.Column{Name: "Epoch", Type: tds.BigInt}, tds.Column{Name: "Server", Type: tds.NVarChar(256)})
	if err := w.Row(s.server.pair.epoch, s.server.pair.epochServer); err != nil {
		return err
	}
	w.Done(1)
	return nil
}

// waitWhileSlow waits while probes are slow, or until the connection ends.
func (s *session) waitWhileSlow(ctx context.Context) {
	s.server.pair.Mu.Lock()
	slow := s.server.slow
	s.server.pair.Mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
		}
	}
}

// Call implements tds.Session: it answers the query for the status, the procedures for epochs and Work.
func (s *session) Call(ctx context.Context, c *tds.Call, w *tds.Response) error {
	s.waitWhileFrozen(c.Name)
	if c.ProcID == tds.ProcExecuteSQL && c.Params[0].Value == s.server.pair.statusQuery {
		s.waitWhileSlow(ctx)
	}
	p := s.server.pair
	p.Mu.Lock()
	defer p.Mu.Unlock()
	switch {
	case c.ProcID == tds.ProcExecuteSQL && c.Params[0].Value == s.server.pair.statusQuery && c.Params[2].Name == "@db" && c.Params[2].Value == "ASPState":
		return s.statusLocked(w)
	case c.Name == "[ASPState].dbo.MirrorState_TakeEpoch_1" && c.Params[0].Name == "@server":
		if by := c.Params[0].Value.(string); by != p.epochServer {
			p.epoch, p.epochServer = p.epoch+1, by
		}
		return s.epochLocked(w)
	case c.Name == "[ASPState].dbo.MirrorState_RaiseEpoch_1" && c.Params[0].Name == "@server" && c.Params[1].Name == "@above":
		p.epoch, p.epochServer = max(p.epoch, c.Params[1].Value.(int64))+1, c.Params[0].Value.(string)
		return s.epochLocked(w)
	case c.Name == "Work" && p.principal == s.server.index:
		s.server.Calls++
		w.ReturnStatus(int32(s.server.Calls))
		return nil
	}
	return &tds.Error{Number: 954, Class: 14, Message: "It is acting as a mirror database."}
}

// statusLocked answers link.QueryStatus, with the columns of its comment.
func (s *session) statusLocked(w *tds.Response) error {
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
	if s.server.pair.principal != s.server.index {
		state, update, role = "RESTORING", nil, "MIRROR"
	}
	w.Columns(cols...)
	err := w.Row(state, false, "MULTI_USER", update, "4F6C2C38-0000-0000-0000-000000000000", role, "SYNCHRONIZED",
		s.server.pair.sequence, "FULL", "TCP://other:5022", "OTHER", nil, "TCP://w:5022", time.Now().UTC().Add(time.Hour), "SQL"+string(rune('A'+s.server.index)), nil)
	w.Done(1)
	return err
}

// SlowProbes makes server i answer no probes until quick is called. It still answers calls.
func (w *Pair) SlowProbes(i int) (quick func()) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	slow := make(chan struct{})
	w.Servers[i].slow = slow
	return sync.OnceFunc(func() {
		w.Mu.Lock()
		defer w.Mu.Unlock()
		if w.Servers[i].slow == slow {
			w.Servers[i].slow = nil
		}
		close(slow)
	})
}

// ProbeLogins returns how many logins to master server i had. Probes make these.
func (w *Pair) ProbeLogins(i int) int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Servers[i].logins
}

// SilentServer starts a server that accepts connections and never answers. Each accepted and each closed
// connection sends a value.
func SilentServer(t *testing.T) (addr *net.TCPAddr, accepted, closed chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted, closed = make(chan struct{}, 100), make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			wg.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
				closed <- struct{}{}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().(*net.TCPAddr), accepted, closed
}

// DSN returns the parsed connection string of a server on loopback, with this value of encrypt.
func DSN(t testing.TB, addr *net.TCPAddr, encrypt string) msdsn.Config {
	t.Helper()
	dsn, err := msdsn.Parse("server=localhost;user id=u;password=p;trustservercertificate=true;encrypt=" + encrypt)
	if err != nil {
		t.Fatal(err)
	}
	dsn.Port = uint64(addr.Port)
	return dsn
}
