package server

import (
	"sync"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// eventBacklog is the number of events by which a client of the stream may be late.
const eventBacklog = 256

// EventSource merges the events of the Pair, and those of the servers of an embedded pair.
type EventSource struct {
	Pair    *partner.Pair  // nil: no events of a Pair
	Servers *embedded.Pair // nil: no embedded pair
}

var _ proxy.EventSource = EventSource{}

// Events implements proxy.EventSource. One goroutine for each client forwards the events; stop ends it and waits for
// it.
func (s EventSource) Events() (<-chan proxy.Event, func()) {
	var ofPair <-chan partner.Event
	var ofServers <-chan embedded.Event
	stopPair, stopServers := func() {}, func() {}
	if s.Pair != nil {
		ofPair, stopPair = s.Pair.Subscribe()
	}
	if s.Servers != nil {
		ofServers, stopServers = s.Servers.Events()
	}
	out, done := make(chan proxy.Event, eventBacklog), make(chan struct{})
	var forwarding sync.WaitGroup
	forwarding.Go(func() { forward(out, ofPair, ofServers, done) })
	return out, func() {
		close(done)
		forwarding.Wait()
		stopPair()
		stopServers()
	}
}

// forward merges two channels of events until done is closed, or until out is full: its reader is too late then. It
// closes out.
func forward(out chan<- proxy.Event, ofPair <-chan partner.Event, ofServers <-chan embedded.Event, done <-chan struct{}) {
	defer close(out)
	for {
		var next proxy.Event
		select {
		case <-done:
			return
		case e, ok := <-ofPair:
			if !ok {
				return
			}
			next = proxy.Event{At: e.At.UTC(), Kind: e.Kind, Partner: string(e.Partner), Epoch: e.Epoch, Detail: e.Reason}
		case e, ok := <-ofServers:
			if !ok {
				return
			}
			next = proxy.Event{At: e.At.UTC(), Kind: e.Kind, Partner: e.Partner, Detail: e.Detail}
		}
		select {
		case out <- next:
		default:
			return
		}
	}
}
