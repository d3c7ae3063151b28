//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// fewFiles returns a command that runs the program with a limit of open files. The shell sets the soft and the hard
// limit, then replaces itself by the program.
func fewFiles(ctx context.Context, files int, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(files), os.Args[0]}, args...)...)
}

// TestServe_FewFiles: with a low limit of files the server accepts few connections. It answers them, also during a
// failover, and it answers its operators. It always has files left for the database.
func TestServe_FewFiles(t *testing.T) {
	for _, c := range []struct {
		files    int
		embedded bool
	}{{60, false}, {80, true}, {120, true}} {
		t.Run(fmt.Sprintf("%d, embedded %v", c.files, c.embedded), func(t *testing.T) {
			t.Parallel()
			args := []string{"serve", "--data", t.TempDir(), "--api", "127.0.0.1:0", "--admin", "127.0.0.1:0"}
			if c.embedded {
				args = append(args, "--partner-a", "127.0.0.1:0", "--partner-b", "127.0.0.1:0")
			}
			cmd := fewFiles(t.Context(), c.files, args...)
			if !c.embedded {
				cmd.Env = []string{"MIRRORSTATE_PAIR_CONNECTION_STRING=" + loadserver.PairConnection(aspstatetest.Start(t))}
			}
			p := startProgram(t, cmd)
			served, wrong := crowd(t, p)
			if served == 0 || len(wrong) > 0 {
				t.Errorf("%d requests served; unexpected answers: %q", served, wrong)
			}
			if said := p.stderr.String(); strings.Contains(said, "too many open files") || !strings.Contains(said, "the limit of open files is too low") {
				t.Errorf("standard error:\n%s", said)
			}
			p.stop(t)
		})
	}
}

// crowd runs many more clients than connections are allowed, with a new connection for each request, until a failover
// is complete. It returns how many requests were answered, and the unexpected answers.
func crowd(t *testing.T, p *program) (served int64, wrong []string) {
	var (
		mu      sync.Mutex
		n       atomic.Int64
		clients sync.WaitGroup
		one     = make(chan struct{}, 1) // holds one token if a request was served recently
	)
	ctx, stop := context.WithTimeout(t.Context(), waitLimit)
	defer stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 40 {
		clients.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, "POST", p.api+"/v1/apps/default/sessions", strings.NewReader("item"))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					continue // its connection was refused
				}
				resp.Body.Close()
				n.Add(1)
				select {
				case one <- struct{}{}:
				default:
				}
				if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusTooManyRequests {
					mu.Lock()
					wrong = append(wrong, resp.Status)
					mu.Unlock()
				}
			}
		})
	}
	idle := openIdle(t, p, 150)
	for i := range 20 {
		must(t, []int{200}, "GET", p.admin+"/metrics", "")
		if i == 10 {
			must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
		}
	}
	for before := n.Load(); n.Load() < before+100 && ctx.Err() == nil; { // until the new principal has served
		select {
		case <-one:
		case <-ctx.Done():
		}
	}
	stop()
	clients.Wait()
	for _, c := range idle {
		c.Close()
	}
	return n.Load(), wrong
}

// openIdle opens connections to the API and sends nothing on them. The server closes such connections first.
func openIdle(t *testing.T, p *program, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestServe_TooFewFiles: with fewer files than it needs the server does not start. The error says how many it needs.
func TestServe_TooFewFiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	cmd := fewFiles(ctx, 60, "serve", "--data", t.TempDir(), "--api", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--partner-a", "127.0.0.1:0", "--partner-b", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "raise LimitNOFILE (systemd) or ulimit -n") {
		t.Errorf("exit %d, %v: %s", cmd.ProcessState.ExitCode(), err, out)
	}
}
