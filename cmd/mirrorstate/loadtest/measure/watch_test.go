package measure

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// The times of events from a machine with another clock are corrected by the shortest time that an
// event took.
func TestWatcher_OtherClock(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ahead time.Duration // by how much the other clock is ahead
		slow  time.Duration // the slowest poll
		want  time.Duration // expected correction, ± 200 ms
	}{
		{"the same clock", -2 * time.Millisecond, 0, 0},
		{"the same clock on a busy machine", -200 * time.Millisecond, 250 * time.Millisecond, 0},
		{"an hour ahead", time.Hour, 250 * time.Millisecond, -time.Hour},
		{"a second behind", -time.Second, 250 * time.Millisecond, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWatcher(nil, false)
			w.slowest = tt.slow
			c := Clock{time.Now()}
			happened := time.Now()
			w.take(client.Event{Kind: EventPrincipal, Partner: "b", At: happened.Add(tt.ahead - 300*time.Millisecond)}) // this event arrives late
			w.take(client.Event{Kind: EventPrincipal, Partner: "a", At: happened.Add(tt.ahead)})
			got := w.Events(c)[1].At - c.At(happened.Add(tt.ahead))
			if d := got - tt.want; d.Abs() > 200*time.Millisecond {
				t.Errorf("corrected by %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWatcher_Snapshot(t *testing.T) {
	w := NewWatcher(nil, false)
	for _, state := range []string{`{"principal":"a","holding":0}`, `{"principal":"","holding":7}`, `{"principal":"b"}`, `no JSON`} {
		w.take(client.Event{Kind: "pair", State: []byte(state)})
	}
	var told []string
	for _, e := range w.Events(Clock{time.Now()}) {
		told = append(told, e.Kind+" "+e.Partner)
	}
	if len(told) != 2 || told[0] != "principal a" || told[1] != "principal b" {
		t.Errorf("after a lost connection the events are %q, want the principals a and b", told)
	}
}

func TestWatcher_Held(t *testing.T) {
	w := NewWatcher(nil, true)
	c := Clock{time.Now()}
	for at, n := range map[time.Duration]int{-time.Second: 9, 0: 1, 50 * time.Millisecond: 4, 60 * time.Millisecond: 2, 250 * time.Millisecond: 3, time.Second: 9} {
		w.held = append(w.held, heldAt{c.moment(at), n})
	}
	line := w.Held(c, 100*time.Millisecond, 300*time.Millisecond)
	if len(line) != 3 || line[0] != 4 || line[1] != 0 || line[2] != 3 {
		t.Errorf("held was %v, want 4, 0 and 3", line)
	}
}
