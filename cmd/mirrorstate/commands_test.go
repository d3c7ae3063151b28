package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// said runs the program and returns its exit code and both outputs.
func said(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, failed bytes.Buffer
	code = run(t.Context(), args, &out, &failed)
	return code, out.String(), failed.String()
}

func TestRun_VersionFlag(t *testing.T) {
	_, verb, _ := said(t, "version")
	code, flag, stderr := said(t, "--version")
	if code != exitDone || flag != verb || !strings.HasPrefix(flag, "mirrorstate ") {
		t.Errorf("--version: %d %q %q, want %q", code, flag, stderr, verb)
	}
}

// No help text shows an empty default.
func TestHelp_NoEmptyDefault(t *testing.T) {
	var visit func(path []string)
	seen := 0
	root := newRoot()
	visit = func(path []string) {
		_, out, _ := said(t, append(path, "--help")...)
		seen++
		if strings.Contains(out, "(default )") {
			t.Errorf("%v --help shows an empty default:\n%s", path, out)
		}
		cmd, _, err := root.Find(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range cmd.Commands() {
			if !child.Hidden {
				visit(append(path[:len(path):len(path)], child.Name()))
			}
		}
	}
	visit(nil)
	if seen < 20 {
		t.Errorf("only %d commands have a help text", seen)
	}
}

func TestHint(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"connection refused", fmt.Errorf("status: %w", syscall.ECONNREFUSED), "--admin"},
		{"no key", &client.Error{Status: http.StatusUnauthorized, Name: "unauthorized"}, "--key-file"},
		{"another listener", &client.Error{Status: http.StatusNotFound}, ":8081"},
		{"no such session", &client.Error{Status: http.StatusNotFound, Name: "session-not-found"}, ""},
		{"anything else", errors.New("x"), ""},
	} {
		got := hint(c.err)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}

// --admin is the URL of the operators' listener. The advice names its port, not that of the session API.
func TestAdmin_AdviceNamesTheOperatorsPort(t *testing.T) {
	for _, args := range [][]string{{"pair", "status"}, {"ready"}, {"session", "list"}} {
		code, _, stderr := said(t, append(args, "--admin", "nonsense")...)
		if code != exitMisuse || !strings.Contains(stderr, "8081") || strings.Contains(stderr, "8080") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

// If --admin names the session API, the error of a command says that it is not the operators' listener.
func TestAdmin_SessionAPI(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	for _, args := range [][]string{{"pair", "status"}, {"ready"}, {"session", "list"}} {
		code, _, stderr := said(t, append(args, "--admin", srv.URL)...)
		if code != exitFailed || !strings.Contains(stderr, "is this the operators' listener?") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

// The error for a port in use says where the address was set.
func TestServe_TakenPortNamesItsOrigin(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	code, _, stderr := said(t, "serve", "--data", t.TempDir(), "--api", address)
	if code == exitDone || !strings.Contains(stderr, "set by --api") {
		t.Errorf("set by a flag: exit %d, %s", code, stderr)
	}
}

// docs/failover.md removes the fault that it injects, whichever partner was the principal.
func TestFailoverPage_RemovesItsFault(t *testing.T) {
	text, err := os.ReadFile("../../docs/failover.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "## Try it")
	block, _, _ = strings.Cut(block, "\n## ")
	if !strings.Contains(block, `"partner":"principal","fault":"freeze"`) || !strings.Contains(block, "for p in a b") || !strings.Contains(block, `"fault":"none"`) {
		t.Errorf("the page freezes the principal, but does not remove the fault on both partners:\n%s", block)
	}
}
