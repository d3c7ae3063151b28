package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// source is an EventSource that publishes the events of a channel.
type source chan proxy.Event

func (e source) Events() (<-chan proxy.Event, func()) { return e, func() {} }

// follow starts an operators' listener that publishes events, and returns a client for it.
func follow(t *testing.T, src proxy.EventSource) *client.Client {
	t.Helper()
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: actions{}, Events: src})
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, h, client.Config{})
}

func TestClient_Events(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	src := make(source, 2)
	src <- proxy.Event{At: at, Kind: "principal", Partner: "b", Epoch: 7, Detail: "b serves; a:\nsilent"}
	src <- proxy.Event{At: at, Kind: "fault", Partner: "a", Detail: "crash"}
	close(src)
	want := []client.Event{
		{ID: 1, Kind: "pair"},
		{ID: 2, Kind: "principal", At: at, Partner: "b", Epoch: 7, Detail: "b serves; a:\nsilent"},
		{ID: 3, Kind: "fault", At: at, Partner: "a", Detail: "crash"},
	}
	n := 0
	for e, err := range follow(t, src).Events(t.Context()) {
		if n == len(want) {
			if !errors.Is(err, client.ErrStreamEnded) || !strings.Contains(err.Error(), "reads too slowly") {
				t.Errorf("the stream ends with %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && !strings.Contains(string(e.State), `"principal":"b"`) {
			t.Errorf("the first event has the state %s", e.State)
		}
		e.State = nil
		if got := e; got.ID != want[n].ID || got.Kind != want[n].Kind || !got.At.Equal(want[n].At) || got.Partner != want[n].Partner ||
			got.Epoch != want[n].Epoch || got.Detail != want[n].Detail {
			t.Errorf("event %d: got %+v, want %+v", n, got, want[n])
		}
		n++
	}
	t.Error("the stream ends without an error")
}

// The stream ends when the reader leaves the loop, or when its context ends.
func TestClient_EventsStop(t *testing.T) {
	c := follow(t, make(source))
	for range c.Events(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Events(ctx) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the stream ends with %v, want the context's error", last)
	}
}

func TestClient_EventsRefused(t *testing.T) {
	for _, err := range follow(t, nil).Events(t.Context()) {
		e, ok := errors.AsType[*client.Error](err)
		if !ok || e.Status != 404 {
			t.Errorf("got %v, want a 404", err)
		}
	}
}
