package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// run serves h until stop is called.
func run(t *testing.T, h http.Handler, cfg proxy.ServerConfig) (url string, stop func(), ended <-chan error) {
	t.Helper()
	ln, err := proxy.Listen(t.Context(), "a test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- proxy.Serve(ctx, ln, h, cfg) }()
	t.Cleanup(cancel)
	return "http://" + ln.Addr().String(), cancel, done
}

// get sends a request on a connection of its own.
func get(ctx context.Context, url string) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestServe_Drains(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		io.WriteString(w, "done")
	})
	url, stop, ended := run(t, h, proxy.ServerConfig{})
	answer := make(chan string, 1)
	go func() {
		body, err := get(t.Context(), url)
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	<-entered
	stop()
	refusedSoon(t, url)
	select {
	case err := <-ended:
		t.Fatalf("the server ended with a request under way: %v", err)
	default:
	}
	close(leave)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// refusedSoon waits until the server accepts no more connections.
func refusedSoon(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		switch {
		case err == nil:
			conn.Close()
		case !errors.Is(err, syscall.ECONNRESET): // reset: the connection was in the listener's queue when that was closed
			t.Fatalf("dial: %v", err)
		}
	}
}

// A request that takes longer than the drain is cancelled, and its connection is closed.
func TestServe_CutsOff(t *testing.T) {
	entered := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	url, stop, ended := run(t, h, proxy.ServerConfig{DrainTimeout: 20 * time.Millisecond})
	answer := make(chan error, 1)
	go func() {
		_, err := get(t.Context(), url)
		answer <- err
	}()
	<-entered
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "1 connections were cut after 20ms") {
		t.Errorf("the server ended with %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("a request that was cut off got an answer")
	}
}

func TestServe_ListenerFails(t *testing.T) {
	ln, err := proxy.Listen(t.Context(), "a test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := proxy.Serve(t.Context(), ln, http.NotFoundHandler(), proxy.ServerConfig{}); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}

func TestListen_Refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, says := range map[string]string{
		taken.Addr().String(): "another program (or another mirrorstate) uses it",
		"192.0.2.1:0":         "this machine does not have that address",
		"nonsense":            "give host:port",
		"127.0.0.1:99999":     "give host:port",
	} {
		_, err := proxy.Listen(t.Context(), "api.listen (--api)", addr)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "--api") {
			t.Errorf("%s: got %v, want it to name the address and the setting, and to say %q", addr, err, says)
		}
	}
}

// The bytes of headers are bounded.
func TestServe_HeaderLimit(t *testing.T) {
	url, stop, ended := run(t, http.NotFoundHandler(), proxy.ServerConfig{})
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Big", strings.Repeat("x", 64<<10))
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers got %s", resp.Status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
