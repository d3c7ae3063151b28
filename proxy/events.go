package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// Event is an event of the pair, as GET /v1/pair/events sends it.
type Event struct {
	At time.Time `json:"at"`
	// Kind is the event's name: principal, no-principal, role, state, breaker,
	// split-brain, fault, witness; there may be more.
	Kind    string `json:"kind"`
	Partner string `json:"partner,omitempty"` // a or b; empty: it concerns no single partner
	Epoch   int64  `json:"epoch,omitempty"`   // of principal
	Detail  string `json:"detail,omitempty"`  // a description
}

// EventSource has the events of the pair. Any number of goroutines may call it.
type EventSource interface {
	// Events returns the events from now on. The channel has a limited buffer: if the reader is too slow, the channel is
	// closed after the buffered events. stop ends the subscription, and must be called once.
	Events() (events <-chan Event, stop func())
}

// The times and names of the event stream.
const (
	heartbeat    = 15 * time.Second // between two comments that keep the connection open
	eventStreams = 100              // the most streams open at once, of all clients
	stateEvent   = "pair"           // the name of the first event, which has the pair's state
	endEvent     = "end"            // the name of the last event, which has the reason
)

// events answers GET /v1/pair/events with server-sent events until the client leaves, the server drains, or the client
// is too slow. The first event is named pair and has the JSON of GET /v1/pair. The next ones are [Event]s, named by
// kind. Their ids count from 1 on each connection. Events are not kept: a client that connects again gets the state in
// its first event. If possible, the last event is named end and says why the stream ends.
func (a *admin) events(w http.ResponseWriter, r *http.Request) {
	if a.source == nil {
		a.report.fail(w, r, &problemError{kindNoRoute, "this server has no events"}, false)
		return
	}
	place, ok := a.streams.take(nameOf(callerOf(r)))
	if !ok {
		a.report.fail(w, r, &problemError{kindOverloaded, fmt.Sprintf("%d event streams are open already: close one, or use GET /v1/pair", eventStreams)}, false)
		return
	}
	defer a.streams.giveBack(place)
	// The subscription comes before the snapshot, so that no event is missed in between.
	events, stop := a.source.Events()
	defer stop()
	s := newStream(w)
	if s.send(stateEvent, a.pair.Status()) != nil {
		return
	}
	s.follow(r.Context(), events, place.Value, func() bool { return a.gate.stillOpen(r) })
}

// eventPlaces bounds the event streams. If all places are taken and a caller with fewer streams needs one, the newest
// stream of the caller with the most ends. In the zero value all places are free. Any number of goroutines may use it.
type eventPlaces struct {
	mu   sync.Mutex
	open fairshare.Pool[chan struct{}] // guarded by mu; a channel is closed when its stream must end
}

// take takes a place for the caller. ok is false if there is none. The caller gives the place back with giveBack.
func (e *eventPlaces) take(caller string) (place *fairshare.Part[chan struct{}], ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gone, ok := e.open.Room(caller, fairshare.Size{Count: 1}, fairshare.Size{Count: eventStreams})
	for _, part := range gone {
		close(part.Value)
	}
	if !ok {
		return nil, false
	}
	place = &fairshare.Part[chan struct{}]{Value: make(chan struct{})}
	e.open.Add(caller, place)
	return place, true
}

func (e *eventPlaces) giveBack(place *fairshare.Part[chan struct{}]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open.Remove(place)
}

// stream writes server-sent events to one client.
type stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	last uint64 // id
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h["Content-Type"] = eventType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	h["X-Accel-Buffering"] = []string{"no"} // nginx would buffer events
	ctl := http.NewResponseController(w)
	// The request has been read; its read deadline would end the connection during the stream.
	_ = ctl.SetReadDeadline(time.Time{}) // a test's recorder has no deadlines
	return &stream{w: w, ctl: ctl}
}

// follow sends events until the stream must end. evicted is closed when the stream must make room for another.
// permitted is called at every heartbeat.
func (s *stream) follow(ctx context.Context, events <-chan Event, evicted <-chan struct{}, permitted func() bool) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-draining(ctx):
			_ = s.end("the server is stopping") // the stream ends even if the client does not read this
			return
		case <-evicted:
			_ = s.end("this stream was closed for a caller with fewer event streams: close some of yours, or use GET /v1/pair")
			return
		case e, ok := <-events:
			if !ok {
				_ = s.end("this client reads too slowly; connect again")
				return
			}
			err = s.send(e.Kind, e)
		case <-beat.C:
			if !permitted() {
				_ = s.end("the key was revoked, or has expired")
				return
			}
			err = s.write([]byte(": alive\n\n"))
		}
		if err != nil {
			return // the client has left, or does not read
		}
	}
}

// send sends one event.
func (s *stream) send(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a bug: all our events can be marshalled
	}
	s.last++
	text := append(make([]byte, 0, len(data)+64), "id: "...)
	text = strconv.AppendUint(text, s.last, 10)
	text = append(append(text, "\nevent: "...), name...)
	text = append(append(text, "\ndata: "...), data...)
	return s.write(append(text, "\n\n"...))
}

// end sends the last event.
func (s *stream) end(reason string) error {
	return s.send(endEvent, struct {
		Reason string `json:"reason"`
	}{reason})
}

// write sends text at once. If the client does not read it in time, the connection is closed.
func (s *stream) write(text []byte) error {
	extendWriteDeadline(s.w, answerTime)
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	if err := s.ctl.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// drainKey is the context key of the channel that is closed when a server drains.
type drainKey struct{}

// withDraining adds to the context of a server's requests the channel that is closed when it drains.
func withDraining(ctx context.Context, drain <-chan struct{}) context.Context {
	return context.WithValue(ctx, drainKey{}, drain)
}

// draining returns a channel that is closed when the server of this request drains. It is nil, and never closed, if
// [Serve] is not the server.
func draining(ctx context.Context) <-chan struct{} {
	drain, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return drain
}
