package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	loadreport "github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
)

// runProgram runs the program in a process of its own, and waits for it.
func runProgram(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = programEnv(t)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String(), errs.String()
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return 0, out.String(), errs.String()
}

// programEnv returns the environment that makes the test binary the program. It has a temporary folder of its own,
// which must be empty at the end.
func programEnv(t *testing.T) []string {
	dir := t.TempDir()
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Errorf("the program left temporary files: %v", left)
		}
	})
	return append(os.Environ(), asProgram+"=1", "TMPDIR="+dir)
}

// smallLoad returns the flags of a load that a busy machine can handle.
func smallLoad(more ...string) []string {
	return append([]string{"loadtest", "--rate", "100", "--clients", "32", "--sessions", "50", "--warmup", "500ms", "--duration", "5s", "--json"}, more...)
}

func reportOf(t *testing.T, stdout string) (r loadreport.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s", err, stdout)
	}
	return r
}

// TestLoadtest_OwnPair starts a pair and a server, and causes two failovers. No request fails, no write is lost, and no
// lock is granted twice.
func TestLoadtest_OwnPair(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "report.html")
	code, stdout, stderr := runProgram(t, smallLoad("--failover", "manual@1s,crash@2500ms", "--html", page)...)
	r := reportOf(t, stdout)
	if code != exitDone || len(r.Failovers) != 2 || r.Requests < 200 {
		t.Errorf("exit %d after %d requests, failovers %+v; it said\n%s", code, r.Requests, r.Failovers, stderr)
	}
	for _, f := range r.Failovers {
		if f.NoPrincipalMS == nil || f.ResumeMS == nil || f.Failed != 0 || f.Refused != "" {
			t.Errorf("the failover %s cost %+v", f.Kind, f)
		}
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("2 failovers: nothing failed")) {
		t.Errorf("the page of %d bytes lacks the result, %v", len(text), err)
	}
}

// TestLoadtest_Compares runs all four ways on one pair, together at a fixed rate and one after the other at full speed.
// A busy machine can keep the rate with all four. The full speed depends on the machine and is not checked.
func TestLoadtest_Compares(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"20", "0"} {
		code, stdout, stderr := runProgram(t, smallLoad("--via", "http,driver,direct,statement", "--rate", rate, "--clients", "4", "--duration", "4s")...)
		r := reportOf(t, stdout)
		if code != exitDone || len(r.Vias) != 4 {
			t.Fatalf("exit %d with %d ways; it said\n%s", code, len(r.Vias), stderr)
		}
		for name, v := range r.Vias {
			if v.Requests < 10 || v.Failed > 0 || v.Integrity.LostWrites > 0 || v.Integrity.UnreadSessions > 0 || v.Throughput <= 0 {
				t.Errorf("rate %s, %s: %d requests, %v failed, %.0f/s, %+v", rate, name, v.Requests, v.FailedByProblem, v.Throughput, v.Integrity)
			}
		}
		if rate == "0" && r.Vias["http"].Seconds > 3 {
			t.Errorf("at full speed each way ran for %v s of 4", r.Vias["http"].Seconds)
		}
	}
}

// TestLoadtest_Forced: without a witness the principal crashes and service is forced. No write that both servers have
// is lost.
func TestLoadtest_Forced(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runProgram(t, smallLoad("--failover", "force@1s")...)
	r := reportOf(t, stdout)
	if code != exitDone || len(r.Failovers) != 1 || r.Failovers[0].Kind != "force" || r.Failovers[0].NoPrincipalMS == nil {
		t.Errorf("exit %d, %+v; it said\n%s", code, r.Failovers, stderr)
	}
}

// TestLoadtest_Target loads a running server, causes a failover there, and removes its sessions.
func TestLoadtest_Target(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir())
	p.until(t, "SYNCHRONIZED", synchronized)
	code, stdout, stderr := runProgram(t, smallLoad("--target", p.api, "--admin", p.admin, "--failover", "manual@1s,sever@3s")...)
	if r := reportOf(t, stdout); code != exitDone || len(r.Failovers) != 2 || r.Requests < 200 {
		t.Errorf("exit %d, %+v; it said\n%s", code, r.Failovers, stderr)
	}
	if _, list := must(t, []int{200}, "GET", p.admin+"/v1/apps/%2Floadtest%2Fhttp/sessions", ""); !strings.Contains(list, `"sessions": []`) {
		t.Errorf("sessions are left: %s", list)
	}
	code, _, stderr = runProgram(t, "loadtest", "--target", p.api, "--admin", p.admin, "--failover", "force@1s")
	if code != exitMisuse || !strings.Contains(stderr, "embedded, with a witness") || !strings.Contains(stderr, "it supports manual, crash, freeze, isolate, partition, sever") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	p.stop(t)
}

// TestLoadtest_Killed: the processes that a load test has started end when it ends, even if it is killed.
func TestLoadtest_Killed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the test needs /proc")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "loadtest", "--rate", "20", "--clients", "4", "--sessions", "10", "--via", "http,driver,direct")
	cmd.Env = programEnv(t)
	said := &lockedBuffer{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := said.await(ctx, "creating 30 sessions"); err != nil {
		t.Fatal(err)
	}
	children := childrenOf(t, cmd.Process.Pid)
	if len(children) != 4 {
		t.Errorf("got the child processes %v, want pair, http, driver and direct", children)
	}
	cmd.Process.Kill()
	cmd.Wait()
	rest := time.NewTicker(between)
	defer rest.Stop()
	for _, pid := range children {
		for alive(pid) {
			select {
			case <-ctx.Done():
				t.Fatalf("process %d still runs, but its parent has ended", pid)
			case <-rest.C:
			}
		}
	}
}

// childrenOf returns the child processes of a process.
func childrenOf(t *testing.T, pid int) (list []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has just ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if parent, _ := strconv.Atoi(fields[1]); parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, child)
		}
	}
	return list
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(text, []byte(") Z ")) // a zombie: nobody has waited for it
}

// TestLoadtest_Misuse: invalid arguments exit with 2 and one line that says what to do.
func TestLoadtest_Misuse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--rate", "-1"}, "--rate -1 must be 0 to 50000 requests a second"},
		{[]string{"--rate", "fast"}, "see mirrorstate loadtest --help"},
		{[]string{"--mix", "shop"}, "must be web, read-mostly or cart"},
		{[]string{"--failover", "explode@3s"}, "is not one of manual, force, crash"},
		{[]string{"--via", "odbc"}, "is not one of http, driver, direct, statement"},
		{[]string{"--target", "here"}, "must be the URL of a session API"},
		{[]string{"--html", filepath.Join(t.TempDir(), "no", "folder.html")}, "--html: "},
		{[]string{"now"}, "takes no arguments"},
		{[]string{"child"}, "for the load test's own use"},
	} {
		var out, errs strings.Builder
		code := run(t.Context(), append([]string{"loadtest"}, tt.args...), &out, &errs)
		if code != exitMisuse || !strings.Contains(errs.String(), tt.want) || strings.Count(errs.String(), "\n") != 1 || out.Len() > 0 {
			t.Errorf("%v: exit %d, standard error %q, want exit %d and one line with %q", tt.args, code, errs.String(), exitMisuse, tt.want)
		}
	}
}

// If no server answers, the command exits with 1.
func TestLoadtest_NoServer(t *testing.T) {
	var out, errs strings.Builder
	code := run(t.Context(), []string{"loadtest", "--target", "http://127.0.0.1:1"}, &out, &errs)
	if code != exitFailed || !strings.Contains(errs.String(), "connection refused; start mirrorstate serve") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
