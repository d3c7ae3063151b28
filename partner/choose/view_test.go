package choose

import (
	"errors"
	"testing"
	"time"
)

// The watchdog does not force service while calls succeed. What the principal acknowledged after the mirror
// reported the disconnect is only on the principal, whether a probe was answered or not.
func TestView_SuccessfulCallsAndSynchronized(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	principal := observation(A, RolePrincipal, 1, func(o *Observation) {
		o.Mirroring, o.Safety, o.Began, o.ValidUntil = "SYNCHRONIZED", "FULL", now, at(time.Minute)
	})
	mirror := func(state string) Observation {
		return observation(B, RoleMirror, 1, func(o *Observation) {
			o.Mirroring, o.Safety, o.Began, o.ValidUntil = state, "FULL", now, at(time.Minute)
		})
	}
	silent := func(sent time.Time, confirmed bool) Observation {
		return Observation{Partner: A, Began: at(4 * time.Second), ValidUntil: at(time.Minute), Err: errors.New("no answer"),
			Fresh: true, PendingSince: at(3 * time.Second), ConfirmedByCalls: confirmed, LastCall: sent}
	}
	for _, tt := range []struct {
		name         string
		mirror       Observation // received after 2 s
		silent       Observation // received after 5 s
		synchronized bool
		gone         bool
	}{
		{"calls succeed, the mirror is synchronized", mirror("SYNCHRONIZED"), silent(at(4*time.Second), true), true, false},
		{"calls succeed after the mirror reported the disconnect", mirror("DISCONNECTED"), silent(at(4*time.Second), true), false, false},
		{"one call succeeded after the mirror reported the disconnect", mirror("DISCONNECTED"), silent(at(2500*time.Millisecond), false), false, true},
		{"no call succeeded after the mirror reported the disconnect", mirror("DISCONNECTED"), silent(at(1500*time.Millisecond), false), true, true},
		{"calls succeed, the mirror does not answer", Observation{Partner: B, Err: errors.New("no answer")}, silent(at(4*time.Second), true), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := View{Accepted: Accepted{Partner: A}}
			v = v.With(1, mirror("SYNCHRONIZED"), now)
			v = v.With(0, principal, now)
			if !v.Synchronized {
				t.Fatal("not synchronized at first")
			}
			v = v.With(1, tt.mirror, at(2*time.Second))
			v = v.With(0, tt.silent, at(5*time.Second))
			if v.Synchronized != tt.synchronized {
				t.Errorf("synchronized %v, want %v", v.Synchronized, tt.synchronized)
			}
			if gone := !v.UnreachableSince[0].IsZero(); gone != tt.gone || v.Observed[0].Reachable == tt.gone {
				t.Errorf("gone %v, reachable %v, want %v", gone, v.Observed[0].Reachable, tt.gone)
			}
		})
	}
}
