package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
)

// TestOperatorsCommands runs the operators' commands against a server, and checks their output and exit codes.
func TestOperatorsCommands(t *testing.T) {
	p := startServe(t, t.TempDir())
	must(t, []int{201}, "PUT", p.api+"/v1/apps/default/sessions/one", "hello", "Session-Timeout", "7")
	must(t, []int{201}, "PUT", p.api+"/v1/apps/default/sessions/seconds", "hello!", "Session-Timeout", "90s")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"session get one --json", exitDone, `"timeout":7,"uninitialized":false,"size":5,"item":"aGVsbG8="}`, ""},
		{"session get one --raw", exitDone, "hello", ""},
		{"session get one --raw --json", exitMisuse, "", "used together"},
		{"session get two", exitFailed, "", "404 No such session"},
		{"session list", exitDone, "7 min    no      5", ""},
		{"session list", exitDone, "90 s     no      6", ""},
		{"session list --json", exitDone, `"timeout":2,"timeout_s":90,`, ""},
		{"session list --json", exitDone, `"timeout":7,"locked"`, ""},
		{"session get seconds --json", exitDone, `"timeout":2,"timeout_s":90,`, ""},
		{"pair suspend", exitDone, "EXPOSED", ""},
		{"pair failover", exitFailed, "", "409 The pair refused (1422): "},
		{"pair force", exitFailed, "", "409 The pair refused: forcing service may lose"},
		{"pair resume", exitDone, "principal a", ""},
		{"session rm one", exitDone, "removed one", ""},
		{"session rm one", exitFailed, "", "404 No such session"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(strings.Fields(c.args), "--admin", p.admin), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%s: exit %d, want %d; stdout:\n%s\nstderr:\n%s", c.args, code, c.code, &stdout, &stderr)
		}
		if lines := strings.Count(stderr.String(), "\n"); code != exitDone && (stdout.Len() > 0 || lines != 1) {
			t.Errorf("%s: got %d lines on standard error, want 1; standard output %q, want none", c.args, lines, &stdout)
		}
	}
	p.stop(t)
}

// If both partners refuse the login, pair status fails with that error. It does not show a status.
func TestPairStatus_WrongPassword(t *testing.T) {
	p := startServe(t, t.TempDir())
	_, body := must(t, []int{200}, "GET", p.admin+"/v1/pair", "")
	var st server.PairStatus
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"pair", "status", "--connection-string", "data source=" + st.Partners[0].Address +
		";failover partner=" + st.Partners[1].Address + ";user id=mirrorstate;password=wrong;encrypt=disable"}, &stdout, &stderr)
	if code != exitFailed || stdout.Len() > 0 || strings.Count(stderr.String(), "18456") != 2 {
		t.Errorf("exit %d, want %d; stdout:\n%s\nstderr:\n%s", code, exitFailed, &stdout, &stderr)
	}
	p.stop(t)
}
