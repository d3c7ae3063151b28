package server

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

func TestForward(t *testing.T) {
	ofPair, ofServers := make(chan partner.Event), make(chan embedded.Event)
	out, done := make(chan proxy.Event, 2), make(chan struct{})
	go forward(out, ofPair, ofServers, done)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ofPair <- partner.Event{At: at, Kind: "principal", Partner: partner.B, Epoch: 3, Reason: "b serves"}
	ofServers <- embedded.Event{At: at, Kind: "fault", Partner: "a", Detail: "crash"}
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
		t.Error("got an event that nobody sent")
	}
}

// A reader that is too late finds the channel closed. It delays nobody.
func TestForward_SlowReader(t *testing.T) {
	ofPair := make(chan partner.Event)
	out, done := make(chan proxy.Event, 1), make(chan struct{})
	ended := make(chan struct{})
	go func() { defer close(ended); forward(out, ofPair, nil, done) }()
	for range 2 {
		ofPair <- partner.Event{Kind: "breaker"}
	}
	<-ended
	n := 0
	for range out {
		n++
	}
	if n != 1 {
		t.Errorf("got %d events from a channel with room for one", n)
	}
}
