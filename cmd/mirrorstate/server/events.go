package server

import (
	"sync"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// eventBacklog is how many events a client of the stream may be behind.
const eventBacklog = 256

// EventSource tells what our view of the pair and, if they are ours, the servers
// themselves have to say.
type EventSource struct {
	Pair    *partner.Pair  // nil: there is no view
	Servers *embedded.Pair // nil: not ours
}

var _ proxy.EventSource = EventSource{}

// Events implements proxy.EventSource. One goroutine a client passes events on;
// stop ends it and waits.
func (s EventSource) Events() (<-chan proxy.Event, func()) {
	var seen <-chan partner.Event
	var told <-chan embedded.Event
	unsubscribe, quiet := func() {}, func() {}
	if s.Pair != nil {
		seen, unsubscribe = s.Pair.Subscribe()
	}
	if s.Servers != nil {
		told, quiet = s.Servers.Events()
	}
	out, done := make(chan proxy.Event, eventBacklog), make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() { forward(out, seen, told, done) })
	return out, func() {
		close(done)
		passing.Wait()
		unsubscribe()
		quiet()
	}
}

// forward merges two channels of events until done, or until the reader is too far
// behind. It closes out.
func forward(out chan<- proxy.Event, seen <-chan partner.Event, told <-chan embedded.Event, done <-chan struct{}) {
	defer close(out)
	for {
		var next proxy.Event
		select {
		case <-done:
			return
		case e, ok := <-seen:
			if !ok {
				return
			}
			next = proxy.Event{At: e.At.UTC(), Kind: e.Kind, Partner: string(e.Partner), Epoch: e.Epoch, Detail: e.Reason}
		case e, ok := <-told:
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
