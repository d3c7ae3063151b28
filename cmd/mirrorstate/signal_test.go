package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// After the first signal serve finishes the request under way; the second signal ends it at once.
func TestServe_SecondSignal(t *testing.T) {
	p := startServe(t, t.TempDir())
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server announces that it reads the item, which is never sent.
	io.WriteString(conn, "PUT /v1/apps/default/sessions/slow HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if _, err := conn.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	p.cmd.Process.Signal(os.Interrupt)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := p.stderr.await(ctx, "another signal stops at once"); err != nil {
		t.Fatalf("serve does not log that it stops: %v", err)
	}
	select {
	case err := <-done:
		t.Fatalf("serve ended before the request under way: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-done:
		if err == nil {
			t.Error("serve exited with 0 after the second signal")
		}
	case <-time.After(10 * time.Second): // less than drain.timeout
		t.Fatal("serve still runs after the second signal")
	}
}
