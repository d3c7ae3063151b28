package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// startWithKeys starts serve with more configuration and with one key for each line NAME:RIGHTS:APPS.
func startWithKeys(t *testing.T, config string, lines []string, flags ...string) (p *program, keys map[string]string) {
	t.Helper()
	dir := t.TempDir()
	file, keys := filepath.Join(dir, "keys.json"), make(map[string]string)
	for _, line := range lines {
		parts := strings.Split(line, ":")
		e := keyring.Entry{Name: parts[0], Rights: strings.Split(parts[1], ",")}
		if parts[2] != "" {
			e.Apps = strings.Split(parts[2], ",")
		}
		key, _, err := keyring.Add(file, e, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		keys[e.Name] = key
	}
	yaml := filepath.Join(dir, "mirrorstate.yaml")
	if err := os.WriteFile(yaml, []byte("auth: {keys_file: "+file+"}\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServe(t, filepath.Join(dir, "data"), append([]string{"--config", yaml}, flags...)...), keys
}

// resident returns the resident memory of a process in MB, now and at its peak; 0 if it is not known.
func resident(pid int) (now, most int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	value := func(name string) int {
		m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
		if m == nil {
			return 0
		}
		kb, _ := strconv.Atoi(string(m[1]))
		return kb / 1024
	}
	return value("VmRSS"), value("VmHWM")
}

// One caller, in a process of its own, sends many times more requests than the server can answer. Another caller, with
// few requests, gets its answers. Memory is bounded.
func TestAbuse_Flood(t *testing.T) {
	const wanted = wantedInFlood
	p, keys := startWithKeys(t, floodLimits,
		[]string{"flood:read,write:default", "good:read,write:default"})
	url, auth := p.api+"/v1/apps/default/sessions/good", []string{"Authorization", "Bearer " + keys["good"]}
	must(t, []int{201}, "PUT", url, "good", auth...)
	calm := requestTimes(t, url, wanted, auth)

	flood := exec.Command(os.Args[0])
	flood.Env = append(os.Environ(), asFlood+"="+p.api, credential.Variable+"="+keys["flood"])
	var report bytes.Buffer
	progress := &lockedBuffer{}
	flood.Stdout, flood.Stderr = &report, progress
	stop, err := flood.StdinPipe()
	if err == nil {
		err = flood.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Process.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := progress.await(ctx, "turned away"); err != nil {
		t.Fatal(err)
	}
	during := requestTimes(t, url, wanted, auth)
	stop.Close()
	var told floodReport
	if err := errors.Join(flood.Wait(), json.Unmarshal(report.Bytes(), &told)); err != nil {
		t.Fatalf("the flood's report: %v: %s", err, report.String())
	}
	_, most := resident(p.cmd.Process.Pid)
	t.Logf("the good client: p50 %v, p99 %v; during the flood p50 %v, p99 %v; the flood: %+v; at most %d MB resident",
		calm[len(calm)/2], calm[len(calm)*99/100], during[len(during)/2], during[len(during)*99/100], told, most)
	if told.Served == 0 || told.Turned == 0 || told.Other+told.Broken != 0 {
		t.Errorf("the flood's answers: %+v; want some served, all others refused", told)
	}
	if most > 1000 { // the race detector takes several times the memory of the program
		t.Errorf("%d MB resident", most)
	}
}

// requestTimes sends n requests one after the other and returns how long they took, sorted. All must be served.
func requestTimes(t *testing.T, url string, n int, header []string) []time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range n {
		method, body, want := "GET", "", 200
		if i%3 == 0 {
			method, body, want = "PUT", fmt.Sprint(i), 204
		}
		began := time.Now()
		must(t, []int{want}, method, url, body, header...)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

// Ten thousand idle connections cost some memory; no request fails because of them.
func TestAbuse_IdleConnections(t *testing.T) {
	n := idleConnections
	if files := server.OpenFiles(); files > 0 && files < n+200 {
		t.Logf("this process may open %d files: %d connections instead of %d", files, files-200, n)
		n = files - 200
	}
	p := startServe(t, t.TempDir())
	path := p.api + "/v1/apps/default/sessions/x"
	must(t, []int{201}, "PUT", path, "x")
	before, _ := resident(p.cmd.Process.Pid)
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	answer := make([]byte, 1024)
	served := func(from, to int) { // waits for the answer on each connection, which is idle afterwards
		t.Helper()
		for i, c := range conns[from:to] {
			c.SetReadDeadline(time.Now().Add(waitLimit))
			if got, err := c.Read(answer); err != nil || !bytes.HasPrefix(answer[:got], []byte("HTTP/1.1 200")) {
				t.Fatalf("connection %d: %.40q, %v", from+i, answer[:got], err)
			}
		}
	}
	for i := range conns {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(p.api, "http://"), waitLimit)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns[i] = c
		io.WriteString(c, "GET /v1/apps/default/sessions/x?peek=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if done := i + 1; done%50 == 0 || done == n {
			served((i/50)*50, done)
		}
	}
	took := requestTimes(t, path, 100, nil)
	after, _ := resident(p.cmd.Process.Pid)
	t.Logf("%d idle connections: %d MB resident, %d MB before; a client beside them: p50 %v, p99 %v", n, after, before, took[50], took[99])
	for i, c := range conns { // none was closed to make room for another
		if i%100 != 0 {
			continue
		}
		io.WriteString(c, "HEAD /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(waitLimit))
		if got, err := c.Read(answer); err != nil || got == 0 {
			t.Fatalf("connection %d was closed: %v", i, err)
		}
	}
}

// No secret is in the server's log, in its refusals, or in the output of the commands.
func TestAbuse_NoSecretInLogsOrAnswers(t *testing.T) {
	p, keys := startWithKeys(t, "apps:\n  default: {name: /LM/W3SVC/1/ROOT, max_size: 64KiB}\n  other: {name: /LM/W3SVC/2/ROOT}\n",
		[]string{"app:read,write,lock,remove:default", "ops:observe,operator:"}, "--verbose")
	app, ops := []string{"Authorization", "Bearer " + keys["app"]}, []string{"Authorization", "Bearer " + keys["ops"], "Content-Type", "application/json"}
	const item, idempotency, planted = "planted-item-0123456789", "planted-idempotency-key", "plantedsessionid000000aa"
	wrong, _ := keyring.NewKey()
	secrets := map[string]string{
		"the item": item, "the Idempotency-Key": idempotency, "the session id": planted, "a wrong key's secret": wrong[12:],
		"the key's secret": keys["app"][12:], "the operator's key's secret": keys["ops"][12:],
	}
	var seen strings.Builder
	say := func(method, path, body string, header ...string) (http.Header, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		url := p.api + path
		if strings.HasPrefix(path, "/v1/pair") {
			url = p.admin + path
		}
		status, h, text, err := request(ctx, method, url, body, header...)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		if status >= 400 {
			fmt.Fprintln(&seen, status, h, text)
		}
		return h, text
	}
	const sessions = "/v1/apps/default/sessions/"
	with := func(more ...string) []string { return append(slices.Clone(app), more...) }
	say("PUT", sessions+planted, item, with("Idempotency-Key", idempotency)...)
	h, _ := say("POST", sessions+planted+"/lock", "", with("Idempotency-Key", idempotency)...)
	secrets["the lock's handle"] = h.Get("Session-Lock")
	h, made := say("POST", strings.TrimSuffix(sessions, "/"), item, app...)
	id := regexp.MustCompile(`"id":"(\w+)"`).FindStringSubmatch(made)
	if h.Get("Location") == "" || id == nil || secrets["the lock's handle"] == "" {
		t.Fatalf("no session, or no lock: %s", made)
	}
	secrets["a session id that was made"] = id[1]
	for _, c := range []struct {
		method, path, body string
		header             []string
	}{
		{"GET", sessions + planted, "", app},                                                             // locked
		{"PUT", sessions + planted, item, with("Session-Lock", "x"+secrets["the lock's handle"])},        // lost
		{"PUT", sessions + planted, item, with("If-Match", `"x"`)},                                       // precondition
		{"PUT", sessions + planted, strings.Repeat(item, 4000), app},                                     // too large
		{"GET", sessions + planted, "", []string{"Authorization", "Bearer " + wrong}},                    // unknown
		{"GET", sessions + planted, "", []string{"Authorization", "Basic " + wrong}},                     // malformed
		{"GET", sessions + planted + "?key=" + wrong, "", nil},                                           // none
		{"GET", "/v1/apps/other/sessions/" + planted, "", app},                                           // forbidden
		{"GET", sessions + planted + "%00", "", app},                                                     // malformed id
		{"GET", sessions + planted + "?wait=" + wrong, "", app},                                          // malformed parameter
		{"GET", sessions + planted + "?peek=" + item, "", app},                                           //
		{"PUT", sessions + planted, item, with("Session-Timeout", planted)},                              //
		{"PUT", sessions + planted, item, with("Idempotency-Key", strings.Repeat(idempotency, 20))},      // too long
		{"GET", sessions + planted + "/" + planted, "", app},                                             // no route
		{"BREW", sessions + planted, "", app},                                                            // no method
		{"GET", sessions + "gone" + planted, "", app},                                                    // not found
		{"POST", "/v1/pair/accept", `{"partner":"` + wrong + `","reason":"x"}`, ops},                     //
		{"POST", "/v1/pair/failover", `{"kind":"manual"}`, ops},                                          // done
		{"POST", "/v1/pair/fault", `{"partner":"principal","fault":"crash"}`, ops},                       // errors in the log
		{"PUT", sessions + planted, item, with("Session-Lock", secrets["the lock's handle"])},            // through it
		{"POST", "/v1/pair/failover", `{"kind":"manual"}`, ops},                                          // refused
		{"POST", "/v1/pair/failover", `{"kind":"manual"}`, []string{"Content-Type", "application/json"}}, // unauthorized
	} {
		say(c.method, c.path, c.body, c.header...)
	}
	for _, args := range [][]string{
		{"session", "get", planted, "--admin", p.admin}, {"pair", "status", "--admin", p.admin}, {"session", "rm", "x", "--admin", p.admin},
	} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1", credential.Variable+"="+keys["app"])
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%v succeeds with an application's key: %s", args, out)
		}
		fmt.Fprintf(&seen, "%s\n", out)
	}
	p.stop(t)
	log := p.stderr.String()
	if !strings.Contains(log, "level=DEBUG") || !strings.Contains(log, "status=401") {
		t.Errorf("the log has no debug lines, or no refusals:\n%s", log)
	}
	for what, secret := range secrets {
		for where, text := range map[string]string{"log": log, "refusals": seen.String()} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in the %s: …%s…", what, where, text[max(0, i-200):min(len(text), i+200)])
			}
		}
	}
}

// The commands work with keys and certificates: the key comes from a file or a variable, the root from --ca-file.
func TestServe_KeysAndTLS(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", filepath.Join(dir, "key.pem"),
		"-out", filepath.Join(dir, "cert.pem"), "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1").CombinedOutput(); err != nil {
		t.Skipf("openssl can't make a certificate: %v %s", err, out)
	}
	tls := "tls: {certificate_file: " + filepath.Join(dir, "cert.pem") + ", key_file: " + filepath.Join(dir, "key.pem") + "}"
	p, keys := startWithKeys(t, "api: {"+tls+"}\nadmin: {"+tls+"}\n", []string{"ops:observe,operator,list,read,remove:*", "app:read:default"})
	if !strings.HasPrefix(p.api, "https://") || !strings.HasPrefix(p.admin, "https://") {
		t.Fatalf("got URLs %s and %s, want https", p.api, p.admin)
	}
	keyFile := filepath.Join(dir, "ops.key")
	if err := os.WriteFile(keyFile, []byte(keys["ops"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(env string, args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], append(args, "--admin", p.admin)...)
		cmd.Env = append(os.Environ(), asProgram+"=1", env)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	ca := []string{"--ca-file", filepath.Join(dir, "cert.pem")}
	for _, c := range []struct {
		env  string
		args []string
		says string
		ok   bool
	}{
		{"X=", append([]string{"pair", "status", "--key-file", keyFile}, ca...), "principal", true},
		{credential.Variable + "=" + keys["ops"], append([]string{"pair", "failover"}, ca...), "principal", true},
		{credential.Variable + "=" + keys["ops"], append([]string{"session", "list"}, ca...), "ID", true},
		{credential.Variable + "=" + keys["ops"], append([]string{"sweep"}, ca...), "", true},
		{"X=", append([]string{"ready"}, ca...), `"ready"`, true},
		{"X=", []string{"ready"}, "certificate", false},
		{"X=", append([]string{"pair", "status"}, ca...), "401 Unauthorized", false},
		{credential.Variable + "=" + keys["app"], append([]string{"pair", "failover"}, ca...), "403 Forbidden", false},
		{credential.Variable + "=" + keys["ops"], []string{"pair", "status"}, "certificate", false},
	} {
		out, err := command(c.env, c.args...)
		if (err == nil) != c.ok || !strings.Contains(out, c.says) {
			t.Errorf("%v: %v, %s", c.args, err, out)
		}
	}
}
