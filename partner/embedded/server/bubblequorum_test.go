package server

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

// lay puts a link in a condition that no fault makes by itself.
func (s *still) lay(link int, c mirror.Connection) {
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

// A principal that loses mirror and witness closes, and stays closed however long
// that lasts; the return of either opens it again, at once.
func TestQuorum_lossOfMirrorAndWitness(t *testing.T) {
	for name, back := range map[string]func(s *still){
		"the witness comes back": func(s *still) { s.inject(s.a, mirror.FaultNone) },
		"the mirror comes back":  func(s *still) { s.lay(mirror.LinkPartners, mirror.Connection{}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *still) {
				s.inject(s.b, mirror.FaultPartition)
				s.after(time.Minute)
				s.commits(s.a, 1)
				s.inject(s.a, mirror.FaultIsolate)
				s.after(timeOut)
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

// A witness that is silent for less than the time-out is not lost, to an exposed principal either.
func TestQuorum_exposedPrincipalWaitsForTheTimeOut(t *testing.T) {
	inBubble(t, witnessed(), func(s *still) {
		s.inject(s.b, mirror.FaultPartition)
		s.commits(s.a, 1)
		s.inject(s.a, mirror.FaultIsolate)
		s.after(timeOut - 1)
		s.is("a moment before", "a", mirror.StateDisconnected, s.a)
		s.commits(s.a, 2)
		s.after(1)
		s.is("alone", "a", mirror.StateDisconnected)
	})
}

// Whoever was alone for the time-out can't make a quorum with another who was: what the
// third has done meanwhile, neither knows.
func TestQuorum_noneOfTwoLostOnes(t *testing.T) {
	for name, isolate := range map[string]func(s *still){
		"both at once":     func(s *still) { s.inject(s.b, mirror.FaultIsolate); s.inject(s.a, mirror.FaultIsolate) },
		"the mirror first": func(s *still) { s.inject(s.b, mirror.FaultIsolate); s.after(1); s.inject(s.a, mirror.FaultIsolate) },
		"the mirror last":  func(s *still) { s.inject(s.a, mirror.FaultIsolate); s.after(1); s.inject(s.b, mirror.FaultIsolate) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *still) {
				isolate(s)
				s.after(timeOut)
				s.is("all alone", "a", mirror.StateDisconnected)
				s.inject(s.a, mirror.FaultCrash)
				s.inject(s.b, mirror.FaultNone) // mirror and witness find each other first
				s.after(time.Hour)
				if s.b.Main().State.Load().Role != storage.RoleMirror {
					s.t.Error("b took over, and could not know what a had done")
				}
				s.inject(s.a, mirror.FaultNone)
				s.is("together again", "a", mirror.StateSynchronized, s.a)
			})
		})
	}
	// One moment less, and the mirror was never alone.
	inBubble(t, witnessed(), func(s *still) {
		s.inject(s.a, mirror.FaultIsolate)
		s.after(1)
		s.inject(s.b, mirror.FaultIsolate)
		s.after(timeOut - 1)
		s.is("a is alone", "a", mirror.StateDisconnected)
		s.inject(s.b, mirror.FaultNone)
		s.is("b was not", "b", mirror.StateDisconnected, s.b)
	})
}

func TestQuorum_withoutAWitnessNobodyTakesOver(t *testing.T) {
	for _, kind := range []string{mirror.FaultFreeze, mirror.FaultIsolate, mirror.FaultCrash} {
		inBubble(t, mirror.Options{PartnerTimeout: timeOut}, func(s *still) {
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
func (s *still) holdTurn(p *Partner) (release func()) {
	over := make(chan struct{})
	go func() { _ = p.Main().Alone(context.Background(), false, func() error { <-over; return nil }) }()
	synctest.Wait()
	return func() { close(over); synctest.Wait() }
}

// A link that could not be brought back is tried again, linkRetry after the failure; and an
// attempt waits no longer than turnWait for its turn.
func TestLink_isTriedAgain(t *testing.T) {
	inBubble(t, witnessed(), func(s *still) {
		s.inject(s.a, mirror.FaultPartition)
		release := s.holdTurn(s.a)
		healed := time.Now()
		s.inject(s.a, mirror.FaultNone)
		s.is("somebody has the turn", "a", mirror.StateSynchronizing, s.a)
		const attempt = mirror.TurnWait + mirror.LinkRetry
		s.after(2*attempt + mirror.TurnWait) // the third has failed just now
		release()
		s.after(mirror.LinkRetry - 1)
		s.is("a moment before the fourth", "a", mirror.StateSynchronizing, s.a)
		s.after(1)
		s.is("the fourth", "a", mirror.StateSynchronized, s.a)
		if d := time.Since(healed); d != 3*attempt {
			s.t.Errorf("after %v", d)
		}
	})
}

// portTaken are the options of a pair whose ports somebody else has until the time that the
// returned function is told.
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

// A server that starts while somebody else has its port asks for it every listenRetry.
func TestStart_asksForItsPortAgain(t *testing.T) {
	o, until := portTaken()
	inBubble(t, o, func(s *still) {
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

// A start whose caller gave up can be repeated.
func TestStart_givenUp(t *testing.T) {
	o, until := portTaken()
	inBubble(t, o, func(s *still) {
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

// holdVerbs keeps others from changing a role or a setting until release is called.
func (s *still) holdVerbs() (release func()) {
	over := make(chan struct{})
	go func() { _ = s.Verb(context.Background(), func(context.Context) error { <-over; return nil }) }()
	synctest.Wait()
	return func() { close(over); synctest.Wait() }
}

// A verb that meets another gives up after verbsWait, as SQL Server does with a mirror
// that is busy, or with its caller.
func TestFailover_waitsForAnotherVerb(t *testing.T) {
	inBubble(t, witnessed(), func(s *still) {
		release := s.holdVerbs()
		began := time.Now()
		if err := s.a.Failover(s.t.Context()); refusalOf(err) != 1404 || time.Since(began) != mirror.VerbsWait {
			s.t.Errorf("ended after %v with %v, want 1404 after %v", time.Since(began), err, mirror.VerbsWait)
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := s.a.Failover(ctx); err == nil || refusalOf(err) != 0 || time.Since(began) != time.Second {
			s.t.Errorf("its caller waits a second, and it ended after %v with %v", time.Since(began), err)
		}
		s.is("refused", "a", mirror.StateSynchronized, s.a)
		release()
	})
	inBubble(t, witnessed(), func(s *still) {
		release := s.holdVerbs()
		end := make(chan error, 1)
		go func() { end <- s.a.Failover(s.t.Context()) }()
		s.after(mirror.VerbsWait - 1)
		release()
		if err := <-end; err != nil {
			s.t.Errorf("there was a moment left: %v", err)
		}
		s.is("done", "b", mirror.StateSynchronized, s.b)
	})
}

// opens opens an explicit transaction.
func (s *still) opens(p *Partner) *mirror.Lease {
	s.t.Helper()
	l, err := p.Main().OpenLease(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// idles lets a transaction be idle for as long as it may, and makes sure that it is over.
func (s *still) idles(l *mirror.Lease) {
	s.t.Helper()
	s.after(mirror.LeaseIdle)
	if err := l.Commit(); refusalOf(err) != 1222 {
		s.t.Errorf("idle for %v: %v, want 1222", mirror.LeaseIdle, err)
	}
}

// An explicit transaction keeps others waiting for leaseMax in all, and for leaseIdle
// between two statements.
func TestLease_endsInTime(t *testing.T) {
	inBubble(t, witnessed(), func(s *still) {
		use := func(l *mirror.Lease) error { return l.Run(func(*storage.Writer) error { return nil }) }
		idle := s.opens(s.a)
		s.after(mirror.LeaseIdle - 1)
		if err := use(idle); err != nil {
			s.t.Errorf("broken off before %v: %v", mirror.LeaseIdle, err)
		}
		s.idles(idle)
		long := s.opens(s.a)
		for range mirror.LeaseMax/mirror.LeaseIdle*2 - 1 {
			s.after(mirror.LeaseIdle / 2)
			if err := use(long); err != nil {
				s.t.Fatalf("broken off while in use: %v", err)
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
	inBubble(t, witnessed(), func(s *still) { s.idles(s.opens(s.a)) })
}
