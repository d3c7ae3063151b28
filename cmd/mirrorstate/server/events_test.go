package server

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

func TestForward(t *testing.T) {
	seen, told := make(chan partner.Event), make(chan embedded.Event)
	out, done := make(chan proxy.Event, 2), make(chan struct{})
	go forward(out, seen, told, done)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen <- partner.Event{At: at, Kind: "principal", Partner: partner.B, Epoch: 3, Reason: "b serves"}
	told <- embedded.Event{At: at, Kind: "fault", Partner: "a", Detail: "crash"}
	for _, want := range []proxy.Event{
		{At: at, Kind: "principal", Partner: "b", Epoch: 3, Detail: "b serves"},
		{At: at, Kind: "fault", Partner: "a", Detail: "crash"},
	} {
		if got := <-out; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	close(done)
	if _, more := <-out; more {
		t.Error("there are more events than happened")
	}
}

// Whoever is too far behind finds the channel closed, and delays nobody.
func TestForward_Slow(t *testing.T) {
	seen := make(chan partner.Event)
	out, done := make(chan proxy.Event, 1), make(chan struct{})
	ended := make(chan struct{})
	go func() { defer close(ended); forward(out, seen, nil, done) }()
	for range 2 {
		seen <- partner.Event{Kind: "breaker"}
	}
	<-ended
	n := 0
	for range out {
		n++
	}
	if n != 1 {
		t.Errorf("%d events were kept in a channel of one", n)
	}
}
