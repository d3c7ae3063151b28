package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Event is something that happened to the pair.
type Event struct {
	// ID numbers the events of a stream from 1.
	ID uint64 `json:"-"`
	// Kind is pair for the first event of a stream, and then principal, no-principal,
	// role, state, breaker, split-brain, fault or witness; there may be more.
	Kind string `json:"kind"`
	// At is when it happened, by the server's clock. Zero for pair.
	At time.Time `json:"at"`
	// Partner is a or b if the event is about one partner.
	Partner string `json:"partner"`
	// Epoch is the epoch of a new principal.
	Epoch int64 `json:"epoch"`
	// Detail says more, in words.
	Detail string `json:"detail"`
	// State is the JSON of GET /v1/pair, for the kind pair.
	State json.RawMessage `json:"-"`
}

// ErrStreamEnded is the error after the server ended a stream of events: the server stops, or the
// reader was too slow.
var ErrStreamEnded = errors.New("the server ended the stream of events")

// maxEvent is the maximum length of a line of a stream, and of the data of an event, in bytes.
const maxEvent = 1 << 20

// Events yields what happens to the pair, from an operators' listener: first the
// pair's state as an event of kind pair, then every change. The stream ends when ctx ends, when the
// server ends it (ErrStreamEnded), or when the connection breaks; Events then yields the reason as an
// error. Leaving the loop closes the stream. Events does not reconnect.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		resp, err := c.stream(ctx)
		if err != nil {
			yield(Event{}, fmt.Errorf("follow the pair's events: %w", err))
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxEvent)
		for {
			e, err := readEvent(lines)
			if err != nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("follow the pair's events: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// stream opens a stream of events.
func (c *Client) stream(ctx context.Context) (*http.Response, error) {
	q := request{method: http.MethodGet, path: "/v1/pair/events"}
	q.header("Accept", "text/event-stream")
	req, err := c.build(ctx, &q)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return nil, noAnswer(ctx, &q, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, err := readAll(resp)
		if err != nil {
			return nil, noAnswer(ctx, &q, err)
		}
		return nil, problemOf(resp, body)
	}
	return resp, nil
}

// readEvent reads up to the empty line that ends an event. Comments are skipped.
func readEvent(lines *bufio.Scanner) (Event, error) {
	var e Event
	var name string
	var data []byte
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			e.ID, _ = strconv.ParseUint(string(value), 10, 64)
		case "event":
			name = string(value)
		case "data":
			if data = append(data, value...); len(data) > maxEvent {
				return e, fmt.Errorf("an event has more than %d bytes", maxEvent)
			}
		case "":
			if len(value) == 0 && data != nil {
				return e, e.decode(name, data)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return e, err
	}
	return e, io.ErrUnexpectedEOF
}

// decode reads an event's data.
func (e *Event) decode(name string, data []byte) error {
	switch name {
	case "pair":
		e.Kind, e.State = name, data
		return nil
	case "end":
		var end struct{ Reason string }
		_ = json.Unmarshal(data, &end) // the reason is optional
		return fmt.Errorf("%w: %s", ErrStreamEnded, end.Reason)
	}
	if err := json.Unmarshal(data, e); err != nil {
		return fmt.Errorf("read the event %s: %w", name, err)
	}
	e.Kind = name
	return nil
}
