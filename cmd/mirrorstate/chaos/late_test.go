package chaos

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// waitLimit bounds every wait of these tests.
const waitLimit = 20 * time.Second

// refusedFor is how long a caller queues for a held lock, to check that it is not released.
const refusedFor = 500 * time.Millisecond

// scene has two proxies on one pair, a relay between each proxy and each partner, and one session.
type scene struct {
	t     *testing.T
	fleet *fleet
	ref   session.Ref
}

func newScene(t *testing.T, f *fleet) *scene {
	return &scene{t: t, fleet: f, ref: session.Ref{App: &application, ID: session.NewID()}}
}

// sceneFleet returns the fleet of these tests.
func sceneFleet(t *testing.T) *fleet {
	return startFleet(t, newTally(), fleetOptions{proxies: 2, witness: true, relay: true, seed: 1, clear: 0})
}

func (s *scene) proxy(i int) session.Store { return s.fleet.proxies[i].target.now }

// aim applies a disturbance to the proxy's next call of the procedure. The call is held back until release is closed.
func (s *scene) aim(proxy int, kind, procedure string) *aim {
	a := newAim(kind, procedure)
	a.release = make(chan struct{})
	return s.fleet.proxies[proxy].relays[partner.Name(s.fleet.servers.Principal())].aimAt(a)
}

// resume delivers the request that was held back, and waits until the server has answered it.
func (s *scene) resume(a *aim) {
	s.t.Helper()
	s.await(a.caught, "no request has met the aim at "+a.procedure)
	close(a.release)
	s.await(a.over, "the server has not answered "+a.procedure)
	if !a.delivered {
		s.t.Fatalf("the call of %s did not arrive at the server", a.procedure)
	}
}

func (s *scene) await(event <-chan struct{}, otherwise string) {
	s.t.Helper()
	select {
	case <-event:
	case <-time.After(waitLimit):
		s.t.Fatalf("within %v: %s", waitLimit, otherwise)
	}
}

// must ends the test if the call's error is not want.
func (s *scene) must(what string, got, want error) {
	s.t.Helper()
	if !errors.Is(got, want) {
		s.t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (s *scene) put(proxy int, item string, want error) {
	s.t.Helper()
	_, err := s.proxy(proxy).Put(s.t.Context(), s.ref, session.Write{Item: []byte(item)}, session.Condition{}, session.NewOperation())
	s.must("put "+item, err, want)
}

func (s *scene) acquire(proxy int, want error) session.Lock {
	s.t.Helper()
	_, lock, err := s.proxy(proxy).Acquire(s.t.Context(), s.ref, session.NewOperation())
	s.must("acquire", err, want)
	return lock
}

func (s *scene) update(proxy int, lock session.Lock, item string, keep bool) {
	s.t.Helper()
	_, err := s.proxy(proxy).Update(s.t.Context(), s.ref, lock, session.Write{Item: []byte(item)}, keep, session.NewOperation())
	s.must("update to "+item, err, nil)
}

func (s *scene) release(proxy int, lock session.Lock) {
	s.t.Helper()
	s.must("release", s.proxy(proxy).Release(s.t.Context(), s.ref, lock, session.NewOperation()), nil)
}

func (s *scene) remove(proxy int, lock session.Lock, want error) {
	s.t.Helper()
	s.must("remove", s.proxy(proxy).Remove(s.t.Context(), s.ref, lock, session.NewOperation()), want)
}

// holds checks the session's item. With "" there must be no session.
func (s *scene) holds(item string) {
	s.t.Helper()
	got, err := s.proxy(1).Get(s.t.Context(), s.ref, session.GetOptions{AllowLocked: true})
	if item == "" && errors.Is(err, session.ErrNotFound) {
		return
	}
	if err != nil || string(got.Item) != item {
		s.t.Errorf("the session holds %q, %v; want %q", got.Item, err, item)
	}
}

// free checks that the lock is not held.
func (s *scene) free() {
	s.t.Helper()
	if _, _, err := s.proxy(1).Acquire(s.t.Context(), s.ref, session.NewOperation()); err != nil {
		s.t.Errorf("the free lock is not granted: %v", err)
	}
}

// netRemove locks and removes the session by the stock procedures.
func (s *scene) netRemove() {
	s.t.Helper()
	server := startNet(s.t, s.fleet.servers)
	nc, key := storetest.NewNetClient(server.dbs[s.fleet.servers.Principal()]), server.key(s.ref)
	item, err := nc.GetItemExclusive3(s.t.Context(), key)
	if err != nil || !item.Found || item.Locked {
		s.t.Fatalf(".NET's acquire: %+v, %v", item, err)
	}
	s.must(".NET's remove", nc.Remove(s.t.Context(), key, item.LockCookie), nil)
}

// lates are calls whose first attempt arrives late. The relay resets the proxy's connection, the proxy sends the call
// again and it is answered, other calls follow, and then the server gets the first attempt.
var lates = []struct {
	name      string
	procedure string         // of the call
	first     func(s *scene) // the calls before; nil: none
	call      func(s *scene) // the call, by proxy 0, and the calls before the late delivery
	then      func(s *scene)
}{
	{"A an update that keeps the lock, and later ones", "MirrorState_Update", nil, func(s *scene) {
		lock := s.acquire(0, nil)
		s.update(0, lock, "MARK-1", true)
		for i := range 5 {
			s.update(i%2, lock, fmt.Sprintf("v%d", i+2), true)
		}
	}, func(s *scene) { s.holds("v6") }},

	{"B a removal of what is not there, and a create", "MirrorState_Remove", func(s *scene) {
		s.remove(1, s.acquire(1, nil), nil)
	}, func(s *scene) {
		s.remove(0, session.Lock{}, nil)
		s.put(1, "made since", nil)
	}, func(s *scene) { s.holds("made since") }},

	{"L1 a put that is refused, and the holder's store", "MirrorState_Store", nil, func(s *scene) {
		lock := s.acquire(1, nil)
		s.put(0, "refused", session.ErrLocked)
		s.update(1, lock, "the holder's", false)
	}, func(s *scene) { s.holds("the holder's") }},

	{"L2 a removal that is refused, and the holder's store", "MirrorState_Remove", nil, func(s *scene) {
		lock := s.acquire(1, nil)
		s.remove(0, session.Lock{}, session.ErrLocked)
		s.update(1, lock, "the holder's", false)
	}, func(s *scene) { s.holds("the holder's") }},

	{"C a lock, and the session is removed and made again", "MirrorState_Acquire", nil, func(s *scene) {
		s.remove(1, s.acquire(0, nil), nil)
		s.put(1, "made again", nil)
	}, (*scene).free},

	{"L3 a lock that is refused, and released", "MirrorState_Acquire", nil, func(s *scene) {
		lock := s.acquire(1, nil)
		s.acquire(0, session.ErrLocked)
		s.release(1, lock)
	}, (*scene).free},

	{"L4 a lock of what is not there, and a create", "MirrorState_Acquire", func(s *scene) {
		s.remove(1, s.acquire(1, nil), nil)
	}, func(s *scene) {
		s.acquire(0, session.ErrNotFound)
		s.put(1, "made since", nil)
	}, (*scene).free},

	{"D a create, and .NET removes the session", "MirrorState_Store", func(s *scene) {
		s.remove(1, s.acquire(1, nil), nil)
		s.ref.ID = session.NewID() // a session that was never removed
	}, func(s *scene) {
		s.put(0, "made", nil)
		s.netRemove()
	}, func(s *scene) { s.holds("") }},

	{"D2 a create that is refused, and .NET removes the session", "MirrorState_Store", nil, func(s *scene) {
		cond := session.Condition{OnlyCreate: true}
		_, err := s.proxy(0).Put(s.t.Context(), s.ref, session.Write{Item: []byte("refused")}, cond, session.NewOperation())
		s.must("create", err, session.ErrPrecondition)
		s.netRemove()
	}, func(s *scene) { s.holds("") }},
}

// TestLateDelivery: after a call is answered, no earlier attempt of it has an effect.
func TestLateDelivery(t *testing.T) {
	f := sceneFleet(t)
	for _, l := range lates {
		t.Run(l.name, func(t *testing.T) {
			s := newScene(t, f)
			s.put(1, "before", nil)
			if l.first != nil {
				l.first(s)
			}
			a := s.aim(0, wireLate, l.procedure)
			l.call(s)
			s.resume(a)
			l.then(s)
		})
	}
}

// holdsStill checks that the lock is granted to nobody else, that its holder can store, and that the lock is free
// afterwards.
func (s *scene) holdsStill(lock session.Lock) {
	s.t.Helper()
	waits := s.fleet.proxies[1].target.waiting(refusedFor)
	_, _, err := waits.Acquire(s.t.Context(), s.ref, session.NewOperation())
	if !errors.Is(err, session.ErrLocked) {
		s.t.Errorf("another caller asks for the held lock: got %v, want %v", err, session.ErrLocked)
	}
	if _, err = s.proxy(0).Update(s.t.Context(), s.ref, lock, session.Write{Item: []byte("the holder's")}, false, session.NewOperation()); err != nil {
		s.t.Fatalf("the holder can't store: %v", err)
	}
	s.holds("the holder's")
	s.free()
}

// TestAcquire_againOnAnotherServer: a client asks one server for the lock, hangs up, and asks another server with the
// same key. The first server finds that its client has left. It must not release the lock that the other server has
// granted to the client.
func TestAcquire_againOnAnotherServer(t *testing.T) {
	s := newScene(t, sceneFleet(t))
	s.put(0, "before", nil)
	op := session.NewOperation()
	a := s.aim(1, wireAnswer, "MirrorState_Acquire")
	ctx, first := newTry(t.Context())
	first.hangsUp = true
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _, _ = s.proxy(1).Acquire(ctx, s.ref, op)
	}()
	s.await(a.held, "the first server's question for the lock is not answered")
	hangUp()
	s.await(gone, "the client does not hang up")
	s.await(first.left, "the first server does not notice that its client has hung up")
	_, lock, err := s.proxy(0).Acquire(t.Context(), s.ref, op)
	s.must("acquire again", err, nil)
	s.resume(a)
	s.await(first.ended, "the first server is not done with its client's call")
	s.holdsStill(lock)
}

// TestAcquire_handledAfterItsRetry: a client sends a request, and then a request for the lock on the same connection.
// It does not wait, asks again with the same key, and is granted the lock. Only then does the server read the first
// request for the lock, and the client hangs up there.
func TestAcquire_handledAfterItsRetry(t *testing.T) {
	s := newScene(t, sceneFleet(t))
	s.put(0, "before", nil)
	op := session.NewOperation()
	read := s.aim(0, wireAnswer, "MirrorState_Get")
	conn, first := s.pipeline(read, op)
	defer conn.Close()
	_, lock, err := s.proxy(0).Acquire(t.Context(), s.ref, op)
	s.must("acquire again", err, nil)
	again := s.aim(0, wireAnswer, "MirrorState_Acquire")
	s.resume(read)
	s.await(again.held, "the server has not come to the request for the lock, or is not answered")
	s.must("hang up", conn.CloseWrite(), nil)
	s.await(first.left, "the server does not notice that its client has hung up")
	s.resume(again)
	s.await(first.ended, "the server is not done with the request for the lock")
	s.holdsStill(lock)
}

// pipeline sends a read and, when the server handles it, an acquire with the operation on the same connection.
func (s *scene) pipeline(read *aim, op session.Operation) (*net.TCPConn, *try) {
	s.t.Helper()
	in := s.fleet.proxies[0]
	conn, err := net.Dial("tcp", in.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_, first := newTry(s.t.Context())
	underway.Store(first.name, first)
	path := fmt.Sprintf("/v1/apps/%s/sessions/%s", url.PathEscape(application.Name), s.ref.ID)
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, in.addr)
	s.must("send the read", err, nil)
	s.await(read.caught, "the server has not begun with the first request")
	_, err = fmt.Fprintf(conn, "POST %s/lock HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nIdempotency-Key: %s\r\n%s: %s\r\n\r\n",
		path, in.addr, hex.EncodeToString(op.ID[:]), tryHeader, first.name)
	s.must("send the acquire", err, nil)
	return conn.(*net.TCPConn), first
}

// TestRelay_Disturbances checks what each kind of disturbance does to a request and its answer.
func TestRelay_Disturbances(t *testing.T) {
	for _, c := range []struct {
		kind     string
		answered int  // bytes of the answer that the proxy gets
		reset    bool // the proxy's connection is reset
		comes    bool // the server gets the request while the proxy is still connected
	}{
		{"", 16, false, true},
		{wireDelay, 16, false, true},
		{wireAnswer, 16, false, true},
		{wireCut, 0, true, true},
		{wireHalf, 4, true, true},
		{wireLate, 0, true, false},
		{wireMute, 0, false, true},
		{wireDeaf, 0, true, false},
	} {
		t.Run("kind "+c.kind, func(t *testing.T) { testRelay(t, c.kind, c.answered, c.reset, c.comes) })
	}
}

func testRelay(t *testing.T, kind string, answered int, isReset, comes bool) {
	server := startAnswering(t)
	r := startRelay(t, server.addr, 1, 1, newTally())
	near, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	_ = near.SetDeadline(time.Now().Add(waitLimit))
	a := newAim(kind, "Temp")
	if kind != "" {
		r.aimAt(a)
	}
	if kind == wireLate {
		a.release = make(chan struct{})
	}
	if _, err := near.Write(rpc("dbo.TempResetTimeout")); err != nil {
		t.Fatal(err)
	}
	if comes {
		<-server.got
	}
	if kind == wireMute {
		<-a.over
	}
	if kind == wireMute || kind == wireDeaf {
		_ = near.(*net.TCPConn).CloseWrite() // the proxy gives up
	}
	answer, err := io.ReadAll(bufio.NewReader(near))
	if len(answer) > answered || !isReset && len(answer) < answered {
		t.Errorf("got %d bytes of the answer, want %d", len(answer), answered)
	}
	if isReset != (err != nil) && kind != wireMute { // with wireMute the proxy has given up: how its connection ends does not matter
		t.Errorf("the connection ends with %v; reset: want %v", err, isReset)
	}
	if kind == wireLate {
		select {
		case <-server.got:
			t.Error("the server gets the request too early")
		default:
		}
		close(a.release)
	}
	if !comes {
		<-server.got
		<-a.over
		if !a.delivered {
			t.Error("the request was not delivered late")
		}
	}
}

// rpc returns a TDS request that calls a procedure, in one packet.
func rpc(procedure string) message {
	m := message{tdsRPC, 1, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, byte(len(procedure)), 0}
	for _, c := range procedure {
		m = append(m, byte(c), 0)
	}
	m[3] = byte(len(m))
	return m
}

// answering is a server that answers each request with two packets of eight bytes, and closes the connection after the
// first answer.
type answering struct {
	addr string
	got  chan string // the procedures that were called
}

func startAnswering(t *testing.T) *answering {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, over := &answering{addr: ln.Addr().String(), got: make(chan string, 1)}, make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-over })
	go func() {
		defer close(over)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		m, err := readMessage(conn)
		if err != nil {
			return
		}
		s.got <- m.procedure()
		_, _ = conn.Write([]byte{4, 0, 0, 8, 0, 0, 1, 0, 4, 1, 0, 8, 0, 0, 2, 0})
	}()
	return s
}

// TestTry_struck: a cancelled request does not begin.
func TestTry_struck(t *testing.T) {
	_, sent := newTry(t.Context())
	if !sent.begin() {
		t.Error("a try does not begin")
	}
	sent.strike()
	if !sent.begin() {
		t.Error("a try that has begun is cancelled")
	}
	_, unread := newTry(t.Context())
	unread.strike()
	if unread.begin() || !unread.beganAt().IsZero() {
		t.Error("a cancelled try begins")
	}
}
