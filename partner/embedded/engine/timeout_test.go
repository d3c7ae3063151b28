package engine

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
)

func TestTimeout_mirrorTakesOver(t *testing.T) {
	for kind, silence := range map[string]time.Duration{mirror.FaultFreeze: bubbleTimeout, mirror.FaultIsolate: bubbleTimeout, mirror.FaultCrash: 0, mirror.FaultStop: 0} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *bubblePair) {
				s.commits(s.a, 1)
				s.inject(s.a, kind)
				if silence > 0 {
					s.after(silence - 1)
					if got := s.Principal(); got != "a" || s.Main().LinkState() != mirror.StateSynchronized {
						s.t.Errorf("just before: principal %s, %v", got, s.Main().LinkState())
					}
					s.after(1)
				}
				s.is("then", "b", mirror.StateDisconnected, s.b)
				s.commits(s.b, 2)
				s.after(time.Hour)
				s.is("an hour later", "b", mirror.StateDisconnected, s.b)
				s.inject(s.a, mirror.FaultNone)
				s.is("after the return", "b", mirror.StateSynchronized, s.b)
				if applicationName(s.t, s.a, "2") != "x" {
					s.t.Error("the old principal is not synchronized")
				}
			})
		})
	}
}

func TestTimeout_aShorterSilenceChangesNothing(t *testing.T) {
	for _, kind := range []string{mirror.FaultFreeze, mirror.FaultIsolate} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, witnessed(), func(s *bubblePair) {
				for i := range int32(3) { // the silences do not add up
					s.inject(s.a, kind)
					commit := s.begins(s.a, i)
					s.after(bubbleTimeout - 1)
					s.inject(s.a, mirror.FaultNone)
					if e := <-commit; e.err != nil || e.after != bubbleTimeout-1 {
						s.t.Errorf("a commit meanwhile ended with %v after %v", e.err, e.after)
					}
					s.is("after the silence", "a", mirror.StateSynchronized, s.a)
					if applicationName(s.t, s.b, string('0'+i)) != "x" {
						s.t.Error("the mirror does not have it")
					}
				}
				s.after(time.Hour)
				s.is("an hour later", "a", mirror.StateSynchronized, s.a)
				if n := s.a.Main().State.Load().Sequence; n != 1 {
					s.t.Errorf("role sequence %d", n)
				}
			})
		})
	}
}

// The configured timeout applies: 10 s initially, at least 5 s if the statement sets it. It also applies to a silence
// that has already begun.
func TestTimeout_isTheOneThatIsSet(t *testing.T) {
	inBubble(t, mirror.Options{Witness: true}, func(s *bubblePair) {
		for _, c := range []struct {
			name           string
			before, within int // set before the silence, and 3 s after its beginning; 0: not set
			want           time.Duration
		}{
			{"at first", 0, 0, 10 * time.Second},
			{"longer", 60, 0, time.Minute},
			{"too short", 1, 0, 5 * time.Second},
			{"longer, in the silence", 0, 20, 20 * time.Second},
			{"shorter, in the silence", 0, 7, 7 * time.Second},
		} {
			set := func(seconds int) {
				if seconds > 0 {
					s.atOnce(c.name, func() error { return s.a.SetTimeout(s.t.Context(), seconds) })
				}
			}
			set(c.before)
			began := time.Now()
			s.inject(s.b, mirror.FaultFreeze)
			s.after(3 * time.Second)
			set(c.within)
			s.after(c.want - time.Since(began) - 1)
			s.is(c.name+", just before", "a", mirror.StateSynchronized, s.a)
			s.after(1)
			s.is(c.name, "a", mirror.StateDisconnected, s.a)
			s.inject(s.b, mirror.FaultNone)
			s.is(c.name+", over", "a", mirror.StateSynchronized, s.a)
		}
	})
}

// A principal waits for a silent mirror once, and then continues without it.
func TestTimeout_commitWaitsForASilentMirror(t *testing.T) {
	for name, o := range map[string]mirror.Options{"witness": witnessed(), "no witness": {PartnerTimeout: bubbleTimeout}} {
		inBubble(t, o, func(s *bubblePair) {
			for _, kind := range []string{mirror.FaultFreeze, mirror.FaultIsolate} {
				what := kind + ", " + name
				s.inject(s.b, kind)
				first := s.begins(s.a, 1)
				s.after(bubbleTimeout - 1)
				late := s.begins(s.a, 2) // it waits only as long as the first commit
				s.after(1)
				if e := <-first; e.err != nil || e.after != bubbleTimeout {
					s.t.Errorf("%s: the first ended with %v after %v", what, e.err, e.after)
				}
				if e := <-late; e.err != nil || e.after != 1 {
					s.t.Errorf("%s: the late commit ended with %v after %v", what, e.err, e.after)
				}
				s.is(what, "a", mirror.StateDisconnected, s.a)
				s.commits(s.a, 3)
				s.inject(s.b, mirror.FaultNone)
				s.is(what+", over", "a", mirror.StateSynchronized, s.a)
				if applicationName(s.t, s.b, "3") != "x" {
					s.t.Errorf("%s: the mirror is not synchronized", what)
				}
			}
		})
	}
}

// commitOften commits on a partner ten times per timeout, until the given moment. It returns the times of the
// acknowledged and of the refused commits.
func commitOften(p *Partner, began time.Time, until time.Duration) (done, refused []time.Duration) {
	for id := int32(1); time.Since(began) < until; id++ {
		err := storeApplication(p, id, p.Letter)
		if err == nil {
			done = append(done, time.Since(began))
		} else {
			refused = append(refused, time.Since(began))
		}
		time.Sleep(bubbleTimeout / 10)
	}
	return done, refused
}

// Both partners never accept commits at the same time. The isolated principal closes its
// database no later than the mirror takes over, and commits that it had begun are
// refused.
func TestTimeout_isolatedPrincipalCloses(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		began := time.Now()
		s.inject(s.a, mirror.FaultIsolate)
		var writers sync.WaitGroup
		var onA, onB, refused []time.Duration
		writers.Go(func() { onA, refused = commitOften(s.a, began, 2*bubbleTimeout) })
		writers.Go(func() { onB, _ = commitOften(s.b, began, 2*bubbleTimeout) })
		s.after(bubbleTimeout - 1)
		s.is("just before", "a", mirror.StateSynchronized, s.a)
		s.after(1)
		s.is("then", "b", mirror.StateDisconnected, s.b)
		if got := refusalOf(s.a.Main().Serving()); got != 955 {
			s.t.Errorf("closed with %d, want 955", got)
		}
		writers.Wait()
		if len(onA) != 0 || len(refused) == 0 || refused[0] != bubbleTimeout {
			s.t.Errorf("a committed after %v and refused after %v, want never, and first after %v", onA, refused, bubbleTimeout)
		}
		if len(onB) == 0 || onB[0] < bubbleTimeout {
			s.t.Errorf("b committed after %v, want from %v on", onB, bubbleTimeout)
		}
		s.inject(s.a, mirror.FaultNone)
		s.is("after the return", "b", mirror.StateSynchronized, s.b)
		if got := applicationName(s.t, s.a, "1") + applicationName(s.t, s.b, "1"); got != "" {
			s.t.Errorf("a refused commit exists: %q", got)
		}
	})
}

// At the timeout the principal closes its database before the mirror takes over.
func TestTimeout_closesBeforeTheMirrorTakesOver(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		events, cancel := s.Events()
		defer cancel()
		s.inject(s.a, mirror.FaultIsolate)
		s.after(bubbleTimeout)
		var order []string
		for len(events) > 0 {
			if e := <-events; e.Partner != "" && e.Kind != "fault" {
				order = append(order, e.Partner+" "+strings.Fields(e.Detail)[0])
			}
		}
		if want := []string{"a closed:", "b PRINCIPAL:"}; !slices.Equal(order, want) {
			s.t.Errorf("in the order %q, want %q", order, want)
		}
	})
}

// A principal that was frozen serves nothing before it has checked who is principal.
func TestTimeout_frozenPrincipalContinues(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.a, mirror.FaultFreeze)
		inItsSockets := s.begins(s.a, 1)
		s.after(bubbleTimeout)
		s.is("taken over", "b", mirror.StateDisconnected, s.b)
		s.after(time.Minute)
		served, wakes := make(chan bool, 1), s.Links.Changes()
		go func() { <-wakes; served <- s.a.Main().Serving() == nil }()
		s.inject(s.a, mirror.FaultNone)
		if <-served {
			s.t.Error("the partner served before the check")
		}
		if e := <-inItsSockets; e.err == nil {
			s.t.Error("the partner accepted a commit that had waited")
		}
		s.is("awake", "b", mirror.StateSynchronized, s.b)
	})
	// If the mirror could not take over, the principal may continue: it is connected to
	// the witness.
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.b, mirror.FaultStop)
		s.commits(s.a, 1)
		s.inject(s.a, mirror.FaultFreeze)
		s.after(time.Hour)
		s.inject(s.a, mirror.FaultNone)
		s.is("awake, alone with the witness", "a", mirror.StateDisconnected, s.a)
		s.commits(s.a, 2)
	})
}

func TestPartition_principalGoesOnExposed(t *testing.T) {
	inBubble(t, witnessed(), func(s *bubblePair) {
		s.inject(s.a, mirror.FaultPartition)
		s.is("cut", "a", mirror.StateDisconnected, s.a)
		s.commits(s.a, 1)
		s.after(365 * 24 * time.Hour)
		s.is("a year later", "a", mirror.StateDisconnected, s.a)
		s.inject(s.a, mirror.FaultIsolate) // the mirror does not have what was committed since
		s.after(bubbleTimeout)
		s.is("isolated, too", "a", mirror.StateDisconnected)
		s.after(time.Hour)
		s.is("isolated, an hour later", "a", mirror.StateDisconnected)
		s.inject(s.a, mirror.FaultNone)
		s.is("healed", "a", mirror.StateSynchronized, s.a)
	})
}
