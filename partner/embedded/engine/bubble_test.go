package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// bubbleTimeout is the partner timeout of the pairs in synctest bubbles. Time passes only while
// all goroutines wait, so that tests can check exact times.
const bubbleTimeout = 5 * time.Second

// bubblePair is a running pair in a bubble.
type bubblePair struct {
	*Pair
	t    *testing.T
	a, b *Partner
}

// inBubble runs a test with its own pair, without sockets. Time passes only while the
// test sleeps.
func inBubble(t *testing.T, o mirror.Options, test func(s *bubblePair)) {
	synctest.Test(t, func(t *testing.T) {
		o.Dir, o.Schema = t.TempDir(), schema.Script()
		if o.Listen == nil {
			o.Listen = listenToNobody
		}
		pair, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- pair.Run(ctx) }()
		defer func() { // also if the test fails, because the bubble would wait for the pair
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		test(&bubblePair{pair, t, pair.Partner("a"), pair.Partner("b")})
	})
}

// witnessed returns the options of a pair with a witness.
func witnessed() mirror.Options { return mirror.Options{PartnerTimeout: bubbleTimeout, Witness: true} }

// silentListener is a listener without connections.
type silentListener struct {
	addr net.Addr
	once sync.Once
	over chan struct{}
}

func listenToNobody(_, addr string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", addr)
	return &silentListener{addr: at, over: make(chan struct{})}, err
}

// Accept implements [net.Listener].
func (h *silentListener) Accept() (net.Conn, error) { <-h.over; return nil, net.ErrClosed }

// Close implements [net.Listener].
func (h *silentListener) Close() error { h.once.Do(func() { close(h.over) }); return nil }

// Addr implements [net.Listener].
func (h *silentListener) Addr() net.Addr { return h.addr }

// after lets time pass, and waits for everything that happens meanwhile.
func (s *bubblePair) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inject injects a fault, which takes no time.
func (s *bubblePair) inject(p *Partner, kind string) {
	s.t.Helper()
	s.atOnce(kind, func() error { return p.Inject(s.t.Context(), mirror.Fault{Kind: kind}) })
}

// atOnce runs something that takes no time, and waits for its immediate effects.
func (s *bubblePair) atOnce(what string, f func() error) {
	s.t.Helper()
	began := time.Now()
	if err := f(); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	synctest.Wait()
	if d := time.Since(began); d != 0 {
		s.t.Fatalf("%s took %v", what, d)
	}
}

// commits makes a partner commit, at once.
func (s *bubblePair) commits(p *Partner, id int32) {
	s.t.Helper()
	s.atOnce("commit on "+p.Letter, func() error { return storeApplication(p, id, "x") })
}

// is checks three things: which partner is principal by its role, the state of the session, and which partners serve. A
// partner serves if its database is open and it is neither frozen nor down.
func (s *bubblePair) is(when, principal string, state mirror.LinkState, open ...*Partner) {
	s.t.Helper()
	if got, is := s.Principal(), s.Main().LinkState(); got != principal || is != state {
		s.t.Errorf("%s: principal %s, %v; want %s, %v", when, got, is, principal, state)
	}
	for _, p := range s.servers {
		if serves := p.Main().Serving() == nil && p.Running(); serves != slices.Contains(open, p) {
			s.t.Errorf("%s: %s serves: %v (%v)", when, p.Letter, serves, p.Main().Serving())
		}
	}
}

// ended is the result of a commit in the background, and its time.
type ended struct {
	err   error
	after time.Duration
}

// begins starts a commit that may have to wait.
func (s *bubblePair) begins(p *Partner, id int32) <-chan ended {
	began, end := time.Now(), make(chan ended, 1)
	go func() {
		err := storeApplication(p, id, "x")
		end <- ended{err, time.Since(began)}
	}()
	synctest.Wait()
	return end
}

// refusalOf returns the number of a SQL Server error; 0: it is not one.
func refusalOf(err error) int32 {
	if e, ok := errors.AsType[*tds.Error](err); ok {
		return e.Number
	}
	if many, ok := errors.AsType[tds.Errors](err); ok && len(many) > 0 {
		return many[0].Number
	}
	return 0
}
