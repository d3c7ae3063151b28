package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// member is a server of a fleet. It keeps its addresses over restarts.
type member struct {
	api, admin string // host:port
	ready      atomic.Bool
	*program   // replaced at a restart, while nobody else reads it
}

// balancer sends requests in turn to the members that are ready. It asks each member every 20 ms and knows nothing
// else.
type balancer struct {
	members []*member
	next    atomic.Int64
	refused atomic.Int64 // refused connections; only these are retried
	to      http.RoundTripper
}

// watch asks a member whether it is ready, until ctx ends.
func (b *balancer) watch(ctx context.Context, m *member) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _, _, err := request(ctx, "GET", "http://"+m.admin+"/readyz", "")
		m.ready.Store(err == nil && status == http.StatusOK)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// awaitReady waits until a member is ready.
func (b *balancer) awaitReady(t *testing.T, m *member) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(waitLimit)
	for !m.ready.Load() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("a member does not become ready")
		}
	}
}

// readyOne returns the next member that is ready, or nil.
func (b *balancer) readyOne() *member {
	n := int(b.next.Add(1))
	for i := range b.members {
		if m := b.members[(n+i)%len(b.members)]; m.ready.Load() {
			return m
		}
	}
	return nil
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		m := b.readyOne()
		if m == nil {
			look.Reset(10 * time.Millisecond)
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-look.C:
			}
			continue
		}
		out := req.Clone(req.Context())
		out.URL.Host = m.api
		if req.GetBody != nil {
			out.Body, _ = req.GetBody()
		}
		resp, err := b.to.RoundTrip(out)
		if errors.Is(err, syscall.ECONNREFUSED) {
			b.refused.Add(1)
			continue
		}
		return resp, err
	}
}

// freePort returns an address that is not in use now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Each of two servers on one pair is restarted under load. The balancer before them knows only /readyz. No request
// fails, and no addition is lost.
func TestServe_RestartUnderLoad(t *testing.T) {
	ado, _ := startPair(t)
	t.Setenv("MIRRORSTATE_PAIR_CONNECTION_STRING", ado)
	t.Setenv("MIRRORSTATE_DRAIN_PAUSE", "1s")
	t.Setenv("MIRRORSTATE_API_HOSTS", "fleet") // the host name in the requests that the balancer forwards
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	b := &balancer{to: transport}
	start := func(m *member) { m.program = startServe(t, t.TempDir(), "--api", m.api, "--admin", m.admin) }
	ctx, stop := context.WithCancel(t.Context())
	var watching, clients sync.WaitGroup
	defer watching.Wait()
	defer stop()
	for range 2 {
		m := &member{api: freePort(t), admin: freePort(t)}
		start(m)
		b.members = append(b.members, m)
		watching.Go(func() { b.watch(ctx, m) })
		b.awaitReady(t, m)
	}

	through := &http.Client{Transport: b}
	ask := func(method, url, body string, header ...string) (int, http.Header, string, error) {
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return 0, nil, "", err
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := through.Do(req)
		if err != nil {
			return 0, nil, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(text), err
	}
	// Clients share sessions, so that some of them wait for a lock at any moment.
	const sessions, each = 4, 2
	var urls [sessions]string
	var added [sessions]atomic.Int64
	for i := range urls {
		status, h, text, err := ask("POST", "http://fleet/v1/apps/default/sessions", "0")
		if err != nil || status != http.StatusCreated {
			t.Fatalf("create: %d %s %v", status, text, err)
		}
		urls[i] = "http://fleet" + h.Get("Location")
	}
	var requests atomic.Int64
	over := make(chan struct{})
	for n := range sessions * each {
		clients.Go(func() {
			for i := n % sessions; ; {
				select {
				case <-over:
					return
				default:
				}
				requests.Add(2)
				if err := addOne(ask, urls[i]); err != nil {
					t.Errorf("client %d: %v", n, err)
					return
				}
				added[i].Add(1)
			}
		})
	}
	for _, m := range b.members {
		before := requests.Load()
		if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("a member exited with %v; its standard error:\n%s", err, m.stderr)
		}
		if n := requests.Load() - before; n < 20 {
			t.Errorf("only %d requests while a member stopped", n)
		}
		start(m)
		b.awaitReady(t, m)
	}
	close(over)
	clients.Wait()
	for i, url := range urls {
		if _, _, text, err := ask("GET", url, ""); err != nil || text != fmt.Sprint(added[i].Load()) {
			t.Errorf("session %d holds %q, %v; %d were added", i, text, err, added[i].Load())
		}
	}
	t.Logf("%d requests, %d connections refused", requests.Load(), b.refused.Load())
}

// addOne adds one to the number in a session, under its lock.
func addOne(ask func(method, url, body string, header ...string) (int, http.Header, string, error), url string) error {
	status, h, body, err := ask("POST", url+"/lock?wait=30s", "")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("lock: %d %s %w", status, body, orNil(err))
	}
	var n int
	if _, err := fmt.Sscan(body, &n); err != nil {
		return fmt.Errorf("the session holds %q: %w", body, err)
	}
	status, _, body, err = ask("PUT", url, fmt.Sprint(n+1), "Session-Lock", h.Get("Session-Lock"))
	if err != nil || status != http.StatusNoContent {
		return fmt.Errorf("store: %d %s %w", status, body, orNil(err))
	}
	return nil
}
