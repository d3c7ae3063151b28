package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
)

// startNotified starts serve as systemd does. The function it returns waits for a message to the service manager.
func startNotified(t *testing.T, more ...string) (*program, func(want string) string) {
	t.Helper()
	// A socket's name has a maximum length, which the name of a test's folder may exceed.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv(server.NotifyVariable, filepath.Join(dir, "s"))
	p := startServe(t, t.TempDir(), more...)
	return p, func(want string) string {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(waitLimit)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := socket.Read(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), want) {
			t.Fatalf("the service manager got %q, %v, want %s", b[:n], err, want)
		}
		return string(b[:n])
	}
}

// configured writes a configuration file.
func configured(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// At SIGHUP the server applies the keys that can change, and logs those that need a restart. A mistake changes nothing.
// The service manager is notified.
func TestServe_Reload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	configured(t, path, "apps:\n  shop: {name: /LM/W3SVC/1/ROOT/shop, max_size: 4}\n")
	p, told := startNotified(t, "--config", path)
	told("READY=1\n")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	again := func(text, line string) {
		t.Helper()
		configured(t, path, text)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if m := told("RELOADING=1\nMONOTONIC_USEC="); strings.HasSuffix(m, "=0") {
			t.Errorf("got message %q", m)
		}
		told("READY=1\n")
		if err := p.stderr.await(ctx, line); err != nil {
			t.Fatal(err)
		}
	}
	sessions := p.api + "/v1/apps/shop/sessions"
	must(t, []int{413}, "POST", sessions, "hello")

	again("log: {level: debug}\nsweep: {interval: 1s}\nadmin: {listen: '127.0.0.1:1'}\nlogg: {}\n", `level=ERROR msg="configuration not applied; the previous configuration stays in use"`)
	if !strings.Contains(p.stderr.String(), "unknown key logg") {
		t.Errorf("the log does not name the mistake:\n%s", p.stderr)
	}
	must(t, []int{413}, "POST", sessions, "hello")
	if _, text := must(t, []int{200}, "GET", p.admin+"/metrics", ""); !strings.Contains(text, "mirrorstate_config_last_reload_successful 0\n") {
		t.Error("the metrics do not count the refused configuration")
	}

	again("log: {level: debug}\nsweep: {interval: 1s}\npair: {hold: {size: 99}}\napps:\n  shop: {name: /LM/W3SVC/1/ROOT/shop, max_size: 5}\n  new: {name: /LM/W3SVC/1/ROOT/new}\n",
		`level=INFO msg="configuration read again" changes=8 need_restart=1`)
	must(t, []int{201}, "POST", sessions, "hello")
	for _, line := range []string{
		`msg="configuration changed" key=log.level from=info to=debug effect=now`,
		`msg="configuration changed" key=apps.shop.max_size from=4 to=5 effect=now`,
		`msg="configuration changed" key=pair.hold.size from=10000 to=99 effect="after a restart"`,
		`msg=request method=POST route=/v1/apps/{app}/sessions status=201`, // at debug now
	} {
		if err := p.stderr.await(ctx, line); err != nil {
			t.Error(err)
		}
	}
	if err := p.stderr.await(ctx, "level=DEBUG msg=swept"); err != nil { // within a second, not a minute
		t.Error(err)
	}
	if _, text := must(t, []int{200}, "GET", p.admin+"/metrics", ""); !strings.Contains(text, "mirrorstate_config_last_reload_successful 1\n") {
		t.Error("the metrics do not count the applied configuration")
	}

	again("sweep: {enabled: false}\npair: {hold: {size: 99}}\n", `key=sweep.enabled from=true to=false effect=now`)
	if err := p.stderr.awaitThat(ctx, func(all string) bool { return strings.Count(all, `key=pair.hold.size`) == 2 }); err != nil {
		t.Errorf("the key that needs a restart is not logged again: %v", err)
	}
	p.stop(t)
	told("STOPPING=1\n")
}

// After SIGTERM the server is not ready, but it answers everything during the pause, and closes the connection with
// each answer. A caller that waits for a lock still gets it after the pause.
func TestServe_Drain(t *testing.T) {
	t.Setenv("MIRRORSTATE_DRAIN_PAUSE", "500ms")
	p, told := startNotified(t)
	told("READY=1\n")
	h, _ := must(t, []int{201}, "POST", p.api+"/v1/apps/default/sessions", "hello")
	url := p.api + h.Get("Location")
	lock, _ := must(t, []int{200}, "POST", url+"/lock", "")
	waited := make(chan int, 1)
	go func() {
		status, _, _, _ := request(t.Context(), "POST", url+"/lock?wait=30s", "")
		waited <- status
	}()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	p.awaitMetric(ctx, t, "mirrorstate_lock_waiters 1\n")

	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1\n")
	if _, text := must(t, []int{503}, "GET", p.admin+"/readyz", ""); !strings.Contains(text, `"ready": false`) || !strings.Contains(text, "is ending") {
		t.Errorf("/readyz answers %s", text)
	}
	must(t, []int{200}, "GET", p.admin+"/healthz", "")
	req, err := http.NewRequestWithContext(ctx, "GET", p.api+"/openapi.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("during the pause: %s, and the connection stays open", resp.Status)
	}
	// After the pause there are no new connections. This request began before; it releases the lock.
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nSession-Lock: %s\r\nContent-Length: 5\r\n\r\n", h.Get("Location"), lock.Get("Session-Lock")); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C { // until the listener is closed
		c, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	must(t, []int{503}, "GET", p.admin+"/readyz", "") // still answered
	if _, err := io.WriteString(conn, "again"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(waitLimit))
	resp, err = http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("the write under way: %v, %v", resp, err)
	}
	resp.Body.Close()
	select {
	case status := <-waited:
		if status != http.StatusOK {
			t.Errorf("the caller that waited for the lock got status %d", status)
		}
	case <-ctx.Done():
		t.Fatal("the caller that waited for the lock got no answer")
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("serve exited with %v", err)
	}
}

// awaitMetric waits until GET /metrics has a line.
func (p *program) awaitMetric(ctx context.Context, t *testing.T, line string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, text := must(t, []int{200}, "GET", p.admin+"/metrics", ""); strings.Contains(text, line) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the metrics never have %q", line)
		}
	}
}

// The systemd unit is valid, and its timeout is long enough for a drain with the default configuration.
func TestUnit(t *testing.T) {
	path := filepath.Join("..", "..", "deploy", "systemd", "mirrorstate.service")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			said[key] = value
		}
	}
	cfg, err := config.Load("", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	stop, err := time.ParseDuration(said["TimeoutStopSec"])
	if least := cfg.Drain.Pause + cfg.Drain.Timeout; err != nil || stop <= least {
		t.Errorf("TimeoutStopSec=%s, want more than %v, the longest drain", said["TimeoutStopSec"], least)
	}
	if said["Type"] != "notify" || said["KillSignal"] != "SIGTERM" || said["ExecReload"] != "/bin/kill -HUP $MAINPID" {
		t.Errorf("got unit %v", said)
	}
	program, rest, _ := strings.Cut(said["ExecStart"], " ")
	root := newRoot()
	if cmd, flags, err := root.Find(strings.Fields(rest)); err != nil || cmd.Name() != "serve" || cmd.ParseFlags(flags) != nil {
		t.Errorf("got ExecStart %s", rest)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not checked by it")
	}
	here := filepath.Join(t.TempDir(), "mirrorstate.service")
	configured(t, here, strings.ReplaceAll(string(text), program, os.Args[0])) // a program that exists
	out, err := exec.CommandContext(t.Context(), analyze, "verify", here).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
