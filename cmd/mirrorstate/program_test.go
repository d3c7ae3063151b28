package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// waitLimit bounds every wait of a test.
const waitLimit = 2 * time.Minute

// program is mirrorstate serve in a process of its own.
type program struct {
	cmd        *exec.Cmd
	api, admin string
	stdout     *lockedBuffer
	stderr     *lockedBuffer
	auth       []string // the header with the key for /v1/pair; empty if the server needs no key
}

// lockedBuffer collects the output of a process while other goroutines read it.
type lockedBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // closed at the next write; nil if nobody waits
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return l.b.Write(p)
}

// await waits until text has been written.
func (l *lockedBuffer) await(ctx context.Context, text string) error {
	if err := l.awaitThat(ctx, func(all string) bool { return strings.Contains(all, text) }); err != nil {
		return fmt.Errorf("no %q in the output: %w", text, err)
	}
	return nil
}

// awaitThat waits until the text written so far satisfies cond.
func (l *lockedBuffer) awaitThat(ctx context.Context, cond func(all string) bool) error {
	for {
		l.mu.Lock()
		if cond(l.b.String()) {
			l.mu.Unlock()
			return nil
		}
		if l.written == nil {
			l.written = make(chan struct{})
		}
		written := l.written
		l.mu.Unlock()
		select {
		case <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var (
	apiLine   = regexp.MustCompile(`session API\s+(https?://\S+)`)
	adminLine = regexp.MustCompile(`operators\s+(https?://\S+)`)
)

// startServe starts serve on free ports, with more flags, and waits until it has printed its addresses. The process is
// killed at the end of the test, unless it has ended before.
func startServe(t *testing.T, dir string, more ...string) *program {
	t.Helper()
	args := []string{"serve", "--data", dir, "--api", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--partner-a", "127.0.0.1:0", "--partner-b", "127.0.0.1:0"}
	return startProgram(t, exec.Command(os.Args[0], append(args, more...)...))
}

// startProgram is like startServe, with a command of the caller.
func startProgram(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: cmd, stdout: &lockedBuffer{}, stderr: &lockedBuffer{}}
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1"), p.cmd.Env...)
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("standard error of serve:\n%s", p.stderr)
		}
	})
	lines := bufio.NewScanner(io.TeeReader(out, p.stdout))
	for lines.Scan() {
		if m := apiLine.FindStringSubmatch(lines.Text()); m != nil {
			p.api = m[1]
		}
		if m := adminLine.FindStringSubmatch(lines.Text()); m != nil {
			p.admin = m[1]
		}
		if strings.HasPrefix(lines.Text(), "Try:") {
			break
		}
	}
	if p.api == "" || p.admin == "" {
		t.Fatalf("serve did not print its addresses; its standard error:\n%s", p.stderr)
	}
	go io.Copy(p.stdout, out)
	return p
}

// kill kills the process as kill -9 does.
func (p *program) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// stop stops the process as an operator does. It must exit without an error.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("serve exited with %v; its standard error:\n%s", err, p.stderr)
		}
	case <-time.After(waitLimit):
		p.cmd.Process.Kill()
		t.Errorf("serve does not stop; its standard error:\n%s", p.stderr)
	}
}

// request sends one HTTP request and returns the status, headers and body of the answer.
func request(ctx context.Context, method, url, body string, header ...string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

// must sends a request and checks that the answer has one of the statuses.
func must(t *testing.T, statuses []int, method, url, body string, header ...string) (http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	status, h, text, err := request(ctx, method, url, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	for _, s := range statuses {
		if s == status {
			return h, text
		}
	}
	t.Fatalf("%s %s: %d, want %v: %s", method, url, status, statuses, text)
	return nil, ""
}

// counters creates n sessions that each hold the number 0.
func counters(t *testing.T, p *program, n int) []string {
	t.Helper()
	var urls []string
	for range n {
		h, _ := must(t, []int{201}, "POST", p.api+"/v1/apps/default/sessions", "0")
		urls = append(urls, p.api+h.Get("Location"))
	}
	return urls
}

// cycle locks a session, adds one to its number, and releases it. It reports whether the addition was acknowledged.
func cycle(ctx context.Context, url string) (acknowledged bool, err error) {
	status, h, body, err := request(ctx, "POST", url+"/lock?wait=30s", "")
	if err != nil || status != http.StatusOK {
		return false, fmt.Errorf("lock: %d %s %w", status, body, orNil(err))
	}
	var n int
	if _, err := fmt.Sscan(body, &n); err != nil {
		return false, fmt.Errorf("the session holds %q: %w", body, err)
	}
	status, _, body, err = request(ctx, "PUT", url, fmt.Sprint(n+1), "Session-Lock", h.Get("Session-Lock"))
	if err != nil || status != http.StatusNoContent {
		return false, fmt.Errorf("store: %d %s %w", status, body, orNil(err))
	}
	return true, nil
}

func orNil(err error) error {
	if err == nil {
		return context.Canceled
	}
	return err
}
