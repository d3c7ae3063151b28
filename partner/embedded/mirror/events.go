package mirror

import (
	"sync"
	"time"
)

// Event is something that happened to the pair.
type Event struct {
	At      time.Time
	Kind    string // role, state, fault or witness
	Partner string // "" for what concerns the pair
	Detail  string // what happened, in words
}

// eventBacklog is how many events a listener may be behind. One that is further
// behind misses the newer ones.
const eventBacklog = 256

// events passes what happens on to whoever listens.
type events struct {
	mu        sync.Mutex
	listeners map[chan Event]struct{}
}

// Events passes on what happens from now on, until the returned function is called;
// that closes the channel. A listener that is 256 events behind misses the newer ones.
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

// tell passes an event on. It never waits.
func (e *events) publish(kind, partner, detail string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.listeners {
		select {
		case c <- Event{At: time.Now(), Kind: kind, Partner: partner, Detail: detail}:
		default: // it is told so in the documentation
		}
	}
}
