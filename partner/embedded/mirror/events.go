package mirror

import (
	"sync"
	"time"
)

// Event is something that happened to the pair.
type Event struct {
	At      time.Time
	Kind    string // role, state, fault or witness
	Partner string // "" for an event of the pair
	Detail  string // a text that describes the event
}

// eventBacklog is the number of events that a receiver may be behind. A receiver that is further behind misses the
// newer events.
const eventBacklog = 256

// events sends each event to all receivers.
type events struct {
	mu        sync.Mutex
	listeners map[chan Event]struct{}
}

// Events returns a channel of the events from now on. The returned function ends them;
// it closes the channel. A receiver that is 256 events behind misses the newer ones.
func (p *Pair) Events() (<-chan Event, func()) {
	c := make(chan Event, eventBacklog)
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	if p.events.listeners == nil {
		p.events.listeners = map[chan Event]struct{}{}
	}
	p.events.listeners[c] = struct{}{}
	return c, sync.OnceFunc(func() {
		p.events.mu.Lock()
		defer p.events.mu.Unlock()
		delete(p.events.listeners, c)
		close(c)
	})
}

// publish sends an event to all receivers. It never waits.
func (e *events) publish(kind, partner, detail string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.listeners {
		select {
		case c <- Event{At: time.Now(), Kind: kind, Partner: partner, Detail: detail}:
		default: // the receiver misses this event, as Events documents
		}
	}
}
