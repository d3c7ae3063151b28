package engine

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// setLink sets the condition of a link directly, to a condition that no fault produces.
func (s *bubblePair) setLink(link int, c mirror.Connection) {
	w := &s.Links
	w.Mu.Lock()
	w.Connections[link] = c
	w.Faulty.Store(true)
	close(w.Changed)
	w.Changed = make(chan struct{})
	w.Mu.Unlock()
	s.WakeWatch()
	synctest.Wait()
}

// A principal that loses mirror and witness closes its database, and keeps it closed as long as that
// lasts. It opens the database at once when one of them reconnects.
func TestQuorum_lossOfMirrorAndWitness(t *testing.T) {
	for name, back := range map[string]func(s *bubblePair){
		"the witness comes back": func(s *bubblePair) { s.inject(s.a, mirror.FaultNone) },
		"the mirror comes back":  func(s *bubblePair) { s.setLink(mirror.LinkPartners, mirror.Connection{}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *bubblePair) {
				s.inject(s.b, mirror.FaultPartition)
				s.after(time.Minute)
				s.commits(s.a, 1)
				s.inject(s.a, mirror.FaultIsolate)
				s.after(bubbleTimeout)
				s.is("alone", "a", mirror.StateDisconnected)
				if e := <-s.begins(s.a, 2); refusalOf(e.err) != 596 || !strings.Contains(e.err.Error(), "error 955") {
					s.t.Errorf("a call that waited for a closed database was answered %v, want 596 for 955", e.err)
				}
				s.after(time.Hour)
				s.is("an hour later", "a", mirror.StateDisconnected)
				s.atOnce(name, func() error { back(s); return nil })
				if s.a.Main().Serving() != nil || s.b.Main().Serving() == nil {
					s.t.Errorf("a serves: %v; b serves: %v", s.a.Main().Serving(), s.b.Main().Serving())
				}
				s.commits(s.a, 3)
			})
		})
	}
}

// A witness that is silent for less than the timeout is not lost, not even to an exposed principal.
func TestQuorum_exposedPrincipalWaitsForTheTimeout(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.b, mirror.FaultPartition)
		s.commits(s.a, 1)
		s.inject(s.a, mirror.FaultIsolate)
		s.after(bubbleTimeout - 1)
		s.is("just before", "a", mirror.StateDisconnected, s.a)
		s.commits(s.a, 2)
		s.after(1)
		s.is("alone", "a", mirror.StateDisconnected)
	})
}

// Two servers that were isolated for the timeout do not form a quorum, because neither knows what the third server has
// done meanwhile.
func TestQuorum_twoIsolatedFormNone(t *testing.T) {
	for name, isolate := range map[string]func(s *bubblePair){
		"both at once": func(s *bubblePair) { s.inject(s.b, mirror.FaultIsolate); s.inject(s.a, mirror.FaultIsolate) },
		"the mirror first": func(s *bubblePair) {
			s.inject(s.b, mirror.FaultIsolate)
			s.after(1)
			s.inject(s.a, mirror.FaultIsolate)
		},
		"the mirror last": func(s *bubblePair) {
			s.inject(s.a, mirror.FaultIsolate)
			s.after(1)
			s.inject(s.b, mirror.FaultIsolate)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *bubblePair) {
				isolate(s)
				s.after(bubbleTimeout)
				s.is("all alone", "a", mirror.StateDisconnected)
				s.inject(s.a, mirror.FaultCrash)
				s.inject(s.b, mirror.FaultNone) // mirror and witness reconnect first
				s.after(time.Hour)
				if s.b.Main().State.Load().Role != storage.RoleMirror {
					s.t.Error("b took over, although it could not know what a had done")
				}
				s.inject(s.a, mirror.FaultNone)
				s.is("together again", "a", mirror.StateSynchronized, s.a)
			})
		})
	}
	// A moment less, and the mirror was not isolated.
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.a, mirror.FaultIsolate)
		s.after(1)
		s.inject(s.b, mirror.FaultIsolate)
		s.after(bubbleTimeout - 1)
		s.is("a is alone", "a", mirror.StateDisconnected)
		s.inject(s.b, mirror.FaultNone)
		s.is("b was not", "b", mirror.StateDisconnected, s.b)
	})
}

func TestQuorum_noFailoverWithoutAWitness(t *testing.T) {
	for _, kind := range []string{mirror.FaultFreeze, mirror.FaultIsolate, mirror.FaultCrash} {
		inBubble(t, mirror.Options{PartnerTimeout: bubbleTimeout}, func(s *bubblePair) {
			s.inject(s.a, kind)
			s.after(time.Hour)
			if s.b.Main().State.Load().Role != storage.RoleMirror || s.b.Main().Serving() == nil {
				s.t.Errorf("%s: b took over", kind)
			}
			if kind == mirror.FaultIsolate {
				s.is("isolated", "a", mirror.StateDisconnected, s.a)
				s.commits(s.a, 1)
			}
		})
	}
}

// holdTurn keeps a partner's writers waiting until release is called, as an explicit transaction does.
func (s *bubblePair) holdTurn(p *Partner) (release func()) {
	over := make(chan struct{})
	go func() { _ = p.Main().Alone(context.Background(), false, func() error { <-over; return nil }) }()
	synctest.Wait()
	return func() { close(over); synctest.Wait() }
}

// The pair retries to restore a link LinkRetry after a failure. An attempt waits at most TurnWait for
// its turn.
func TestLink_isRetried(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.a, mirror.FaultPartition)
		release := s.holdTurn(s.a)
		healed := time.Now()
		s.inject(s.a, mirror.FaultNone)
		s.is("somebody has the turn", "a", mirror.StateSynchronizing, s.a)
		const attempt = mirror.TurnWait + mirror.LinkRetry
		s.after(2*attempt + mirror.TurnWait) // the third attempt has failed just now
		release()
		s.after(mirror.LinkRetry - 1)
		s.is("just before the fourth", "a", mirror.StateSynchronizing, s.a)
		s.after(1)
		s.is("the fourth", "a", mirror.StateSynchronized, s.a)
		if d := time.Since(healed); d != 3*attempt {
			s.t.Errorf("after %v", d)
		}
	})
}

// portTaken returns the options of a pair whose ports are in use until the time that is passed to the
// returned function.
func portTaken() (o mirror.Options, until func(time.Time)) {
	var free time.Time
	o = witnessed()
	o.Listen = func(network, addr string) (net.Listener, error) {
		if time.Now().Before(free) {
			return nil, syscall.EADDRINUSE
		}
		return listenToNobody(network, addr)
	}
	return o, func(t time.Time) { free = t }
}

// A server that starts while its port is in use retries every ListenRetry.
func TestStart_retriesItsPort(t *testing.T) {
	o, until := portTaken()
	inBubble(t, o, func(s *bubblePair) {
		s.inject(s.b, mirror.FaultStop)
		free := time.Now().Add(time.Second + 1)
		until(free)
		if err := s.b.Inject(s.t.Context(), mirror.Start); err != nil {
			s.t.Error(err)
		}
		if d := time.Since(free); d != mirror.ListenRetry-1 {
			s.t.Errorf("started %v after the port was free", d)
		}
		synctest.Wait()
		s.is("started", "a", mirror.StateSynchronized, s.a)
	})
}

// A start whose caller's context has ended can be repeated.
func TestStart_cancelled(t *testing.T) {
	o, until := portTaken()
	inBubble(t, o, func(s *bubblePair) {
		s.inject(s.b, mirror.FaultStop)
		until(time.Now().Add(time.Minute))
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.b.Inject(ctx, mirror.Start); !errors.Is(err, syscall.EADDRINUSE) || s.b.IsDown() == "" || time.Since(began) != time.Second {
			s.t.Errorf("without a port, after %v: %v", time.Since(began), err)
		}
		if err := s.b.Inject(s.t.Context(), mirror.Start); err != nil {
			s.t.Error(err)
		}
		synctest.Wait()
		s.is("started", "a", mirror.StateSynchronized, s.a)
	})
}

// holdVerbs prevents changes of roles and settings until release is called.
func (s *bubblePair) holdVerbs() (release func()) {
	over := make(chan struct{})
	go func() { _ = s.Verb(context.Background(), func(context.Context) error { <-over; return nil }) }()
	synctest.Wait()
	return func() { close(over); synctest.Wait() }
}

// A verb that has to wait for another verb fails after VerbsWait, as in SQL Server with a busy mirror. It also fails
// when its caller's context ends.
func TestFailover_waitsForAnotherVerb(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		release := s.holdVerbs()
		began := time.Now()
		if err := s.a.Failover(s.t.Context()); refusalOf(err) != 1404 || time.Since(began) != mirror.VerbsWait {
			s.t.Errorf("ended after %v with %v, want 1404 after %v", time.Since(began), err, mirror.VerbsWait)
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := s.a.Failover(ctx); err == nil || refusalOf(err) != 0 || time.Since(began) != time.Second {
			s.t.Errorf("its caller waits a second, but it ended after %v with %v", time.Since(began), err)
		}
		s.is("refused", "a", mirror.StateSynchronized, s.a)
		release()
	})
	inBubble(t, witnessed(), func(s *bubblePair) {
		release := s.holdVerbs()
		end := make(chan error, 1)
		go func() { end <- s.a.Failover(s.t.Context()) }()
		s.after(mirror.VerbsWait - 1)
		release()
		if err := <-end; err != nil {
			s.t.Errorf("within the limit: %v", err)
		}
		s.is("done", "b", mirror.StateSynchronized, s.b)
	})
}

// opens begins an explicit transaction.
func (s *bubblePair) opens(p *Partner) *mirror.Lease {
	s.t.Helper()
	l, err := p.Main().OpenLease(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// idles lets a transaction be idle for the allowed time, and checks that it has ended.
func (s *bubblePair) idles(l *mirror.Lease) {
	s.t.Helper()
	s.after(mirror.LeaseIdle)
	if err := l.Commit(); refusalOf(err) != 1222 {
		s.t.Errorf("idle for %v: %v, want 1222", mirror.LeaseIdle, err)
	}
}

// An explicit transaction keeps other writers waiting for at most LeaseMax in total, and for LeaseIdle
// between two statements.
func TestLease_endsInTime(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		use := func(l *mirror.Lease) error { return l.Run(func(*storage.Writer) error { return nil }) }
		idle := s.opens(s.a)
		s.after(mirror.LeaseIdle - 1)
		if err := use(idle); err != nil {
			s.t.Errorf("ended before %v: %v", mirror.LeaseIdle, err)
		}
		s.idles(idle)
		long := s.opens(s.a)
		for range mirror.LeaseMax/mirror.LeaseIdle*2 - 1 {
			s.after(mirror.LeaseIdle / 2)
			if err := use(long); err != nil {
				s.t.Fatalf("ended while in use: %v", err)
			}
		}
		s.after(mirror.LeaseIdle/2 - 1)
		waits := s.begins(s.a, 1)
		s.after(1)
		if e := <-waits; e.err != nil || e.after != 1 {
			s.t.Errorf("a writer got its turn after %v, %v; want %v after the transaction began", e.after, e.err, mirror.LeaseMax)
		}
		if err := long.Commit(); refusalOf(err) != 1222 {
			s.t.Errorf("open for %v: %v, want 1222", mirror.LeaseMax, err)
		}
	})
}

func TestLease_neverUsedEndsInTime(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) { s.idles(s.opens(s.a)) })
}
