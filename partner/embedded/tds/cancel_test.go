package tds

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// blocked returns a fake whose batch "wait 1" runs until its context ends, and reports the cause.
func blocked() (f *fake, started chan struct{}, cause chan error) {
	started, cause = make(chan struct{}, 1), make(chan error, 1)
	f = &fake{batch: func(ctx context.Context, text string, w *Response) error {
		if text != "wait 1" {
			return nil
		}
		started <- struct{}{}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return ctx.Err()
	}}
	return f, started, cause
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(5 * time.Second):
		t.Fatalf("no %s", what)
	}
	return v
}

func TestAttention_ThroughTheDriver(t *testing.T) {
	f, started, cause := blocked()
	db := serve(t, f)
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, "wait 1")
		result <- err
	}()
	receive(t, started, "request")
	cancel()
	if err := receive(t, result, "answer"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := receive(t, cause, "end of the request"); !errors.Is(err, ErrAttention) {
		t.Errorf("cause %v", err)
	}
	if err := db.PingContext(bound(t)); err != nil {
		t.Errorf("the connection afterwards: %v", err)
	}
	if got := len(f.logins); got != 1 {
		t.Errorf("%d logins: the driver did not keep the connection", got)
	}
}

func TestAttention_EndsAnswerAndIsAcknowledgedInItsOwnMessage(t *testing.T) {
	f := &fake{}
	rows := make(chan struct{}, 1)
	f.batch = func(ctx context.Context, _ string, w *Response) error {
		w.Columns(Column{"n", Int})
		_ = w.Row(1)
		rows <- struct{}{}
		<-ctx.Done()
		if err := w.Row(2); !errors.Is(err, ErrAttention) {
			t.Errorf("row after an attention: %v", err)
		}
		w.Done(1)
		return &Error{Number: 9999, Class: 16, Message: "must not be sent"}
	}
	client, _ := dial(t, &Server{Handler: f})
	if _, err := client.Write(packet(packetBatch, statusFinal, batchBody("x"))); err != nil {
		t.Fatal(err)
	}
	receive(t, rows, "row")
	first := ask(t, client, packet(packetAttention, statusFinal, nil))
	want := string(appendColumns(nil, []Column{{"n", Int}})) + "\xD1\x04\x01\x00\x00\x00" + done(tokenDone, doneError, 0, 0)
	if string(first) != want {
		t.Errorf("answer % x\n  want % x", first, want)
	}
	second, err := readMessage(client)
	if err != nil || string(second) != done(tokenDone, doneAttention, 0, 0) {
		t.Errorf("acknowledgement % x, %v", second, err)
	}
}

func TestAttention_WhenIdle(t *testing.T) {
	client, _ := dial(t, &Server{Handler: &fake{}})
	for range 3 {
		if reply := ask(t, client, packet(packetAttention, statusFinal, nil)); string(reply) != done(tokenDone, doneAttention, 0, 0) {
			t.Errorf("reply % x", reply)
		}
		if reply := ask(t, client, packet(packetBatch, statusFinal, batchBody("x"))); string(reply) != done(tokenDone, 0, 0, 0) {
			t.Errorf("reply % x", reply)
		}
	}
}

func TestClientGone_EndsTheRunningRequest(t *testing.T) {
	f, started, cause := blocked()
	client, done := dial(t, &Server{Handler: f})
	if _, err := client.Write(packet(packetBatch, statusFinal, batchBody("wait 1"))); err != nil {
		t.Fatal(err)
	}
	receive(t, started, "request")
	client.Close()
	if err := receive(t, cause, "end of the request"); !errors.Is(err, ErrClientGone) {
		t.Errorf("cause %v", err)
	}
	receive(t, done, "end of the connection")
	if got := f.seen(); !slices.Equal(got, []string{"close"}) {
		t.Errorf("events %v", got)
	}
}

func TestDisconnect_ByClosingTheLoginsConn(t *testing.T) {
	f, started, cause := blocked()
	client, done := dial(t, &Server{Handler: f})
	if _, err := client.Write(packet(packetBatch, statusFinal, batchBody("wait 1"))); err != nil {
		t.Fatal(err)
	}
	receive(t, started, "request")
	f.lastLogin().Conn.Close()
	receive(t, cause, "end of the request")
	receive(t, done, "end of the connection")
}

func TestRequests_OneAfterAnother(t *testing.T) {
	running := make(chan struct{}, 1)
	release := make(chan struct{})
	f := &fake{batch: func(_ context.Context, text string, _ *Response) error {
		select {
		case running <- struct{}{}:
		default:
			t.Error("two requests ran at the same time")
		}
		if text == "slow" {
			<-release
		}
		<-running
		return nil
	}}
	client, _ := dial(t, &Server{Handler: f})
	slow, fast := packet(packetBatch, statusFinal, batchBody("slow")), packet(packetBatch, statusFinal, batchBody("fast"))
	// Longer than watchAfter, so that the second request is read while the first one runs.
	go func() {
		_, _ = client.Write(append(slow, fast...))
		time.AfterFunc(20*watchAfter, func() { close(release) })
	}()
	for range 2 {
		if _, err := readMessage(client); err != nil {
			t.Fatal(err)
		}
	}
}
