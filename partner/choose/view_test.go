package choose

import (
	"errors"
	"testing"
	"time"
)

// The watchdog forces nobody while calls succeed; and what the principal acknowledged after its mirror told of the loss is no insured
// write any more, whether a probe said so or not.
func TestView_CallsAndTheWatchdog(t *testing.T) {
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
		return Observation{Partner: A, Began: at(4 * time.Second), ValidUntil: at(time.Minute), Err: errors.New("silence"),
			Fresh: true, PendingSince: at(3 * time.Second), ConfirmedByCalls: confirmed, LastCall: sent}
	}
	for _, tt := range []struct {
		name         string
		mirror       Observation // heard after 2 s
		silent       Observation // heard after 5 s
		synchronized bool
		gone         bool
	}{
		{"calls succeed, the mirror follows", mirror("SYNCHRONIZED"), silent(at(4*time.Second), true), true, false},
		{"calls succeed after the mirror's loss", mirror("DISCONNECTED"), silent(at(4*time.Second), true), false, false},
		{"a call succeeded after the mirror's loss, and no more", mirror("DISCONNECTED"), silent(at(2500*time.Millisecond), false), false, true},
		{"no call succeeded after the mirror's loss", mirror("DISCONNECTED"), silent(at(1500*time.Millisecond), false), true, true},
		{"calls succeed, the mirror is silent", Observation{Partner: B, Err: errors.New("silence")}, silent(at(4*time.Second), true), false, false},
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
