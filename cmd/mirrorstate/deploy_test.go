package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	yaml "github.com/goccy/go-yaml"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

const composeFile = "../../docker-compose.yml"

// docker-compose checks the compose file; it needs no Docker engine for that.
func TestCompose_Config(t *testing.T) {
	compose, err := exec.LookPath("docker-compose")
	if err != nil {
		t.Skip("SKIPPED: docker-compose is not installed (Debian's package docker-compose): docker-compose.yml is not checked by it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, compose, "-f", composeFile, "--profile", "loadtest", "--profile", "doctor", "--profile", "fleet", "config")
	cmd.Env = append(os.Environ(), "SA_PASSWORD=A-secret-1", "WEB_PASSWORD=A-secret-2")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"condition: service_completed_successfully", "MSSQL_ENABLE_HADR: '1'", "127.0.0.1:8080", "redis-cli"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is missing in:\n%s", want, out)
		}
	}
	cmd = exec.CommandContext(ctx, compose, "-f", composeFile, "config", "-q")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "choose a password") {
		t.Errorf("without passwords: %v\n%s", err, out)
	}
}

// composed is a service of the compose file.
type composed struct {
	Image       string
	Environment map[string]string
	Command     []string
}

// The commands, flags and variables for our program in the compose file are valid.
func TestCompose_Commands(t *testing.T) {
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]composed }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name, s := range file.Services {
		if s.Image != "mirrorstate" {
			continue
		}
		ours++
		checkCommand(t, name, s.Command)
		environment := map[string]string{}
		for k, v := range s.Environment {
			environment[k] = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(v, "A-secret-1")
		}
		cfg, err := config.Load("", func(k string) (string, bool) { v, ok := environment[k]; return v, ok })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		both, configured := cfg.Partners()
		if name == "loadtest" {
			continue // loadtest needs no configured pair
		}
		if !configured || both.Servers[0].Address.Host != "sqla" || both.Servers[1].Address.Host != "sqlb" || both.Servers[1].Password.Reveal() != "A-secret-1" {
			t.Errorf("%s: got partners %v, want the compose file's pair", name, both.Servers)
		}
	}
	if ours != 6 {
		t.Errorf("%d services run our program, want 6", ours)
	}
}

// checkCommand parses a command line of the program, without running the command.
func checkCommand(t *testing.T, where string, words []string) {
	t.Helper()
	if len(words) == 0 {
		return // the image's default command, see TestDockerfile
	}
	cmd, rest, err := newRoot().Find(words)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil || !cmd.Runnable() {
		t.Errorf("%s: %q: %v", where, words, err)
	}
}

// The image's command and its health check are commands of the program.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^(?:HEALTHCHECK.* )?CMD (\[.*\])$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) != 2 || !strings.Contains(string(text), "\nFROM scratch\n") || !strings.Contains(string(text), "\nUSER 65532:65532\n") {
		t.Fatalf("want FROM scratch, USER 65532:65532, CMD and HEALTHCHECK in the Dockerfile:\n%s", text)
	}
	for _, c := range commands {
		var words []string
		if err := json.Unmarshal([]byte(c[1]), &words); err != nil {
			t.Fatal(err)
		}
		checkCommand(t, c[0], trimProgram(words))
	}
}

func trimProgram(words []string) []string {
	if words[0] == "/mirrorstate" {
		return words[1:]
	}
	return words
}

func TestReady(t *testing.T) {
	status, body := http.StatusOK, `{"ready":true}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	code, stdout, _ := call(t, "ready", "--admin", server.URL+"/")
	if code != exitDone || stdout != body+"\n" {
		t.Errorf("exit %d, %q", code, stdout)
	}
	status, body = http.StatusServiceUnavailable, "no principal"
	if code, _, stderr := call(t, "ready", "--admin", server.URL); code != exitFailed || !strings.Contains(stderr, "not ready (503): no principal") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	server.Close()
	if code, _, stderr := call(t, "ready", "--admin", server.URL); code != exitFailed || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// Commands for a running server use the server of their configuration.
func TestAdminAt_Configuration(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"ready":true,"database":"FromHere"}`)
	}))
	defer server.Close()
	yaml := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	if err := os.WriteFile(yaml, []byte("admin: {listen: '"+strings.TrimPrefix(server.URL, "http://")+"'}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ready"}, {"pair", "status"}} {
		code, stdout, stderr := call(t, append(args, "--config", yaml)...)
		if code != exitDone || !strings.Contains(stdout, "FromHere") {
			t.Errorf("%v: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// With TLS they accept only the configured certificate, whatever name is in it.
func TestAdminAt_ConfiguredCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"ready":true,"database":"FromHere"}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // discards the errors of handshakes that clients break off
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	yaml, file := filepath.Join(dir, "mirrorstate.yaml"), filepath.Join(dir, "cert.pem")
	listen := strings.TrimPrefix(server.URL, "https://")
	if err := os.WriteFile(yaml, []byte("admin: {listen: '"+listen+"', tls: {certificate_file: '"+file+"', key_file: k}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	own := block("CERTIFICATE", server.Certificate().Raw)
	for _, c := range []struct{ name, pem, says string }{
		{"its own", own, ""},
		{"after its key", block("PRIVATE KEY", []byte("k")) + own, ""},
		{"after another certificate", block("CERTIFICATE", []byte("another")) + own, "not the one in " + file},
		{"none", "", "not the one in " + file},
	} {
		if err := os.WriteFile(file, []byte(c.pem), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"ready"}, {"pair", "status"}} {
			code, stdout, stderr := call(t, append(args, "--config", yaml)...)
			if c.says == "" && (code != exitDone || !strings.Contains(stdout, "FromHere")) || c.says != "" && (code == exitDone || !strings.Contains(stderr, c.says)) {
				t.Errorf("%s, %v: exit %d, %q, %q", c.name, args, code, stdout, stderr)
			}
		}
	}
}

// With --if-missing, a script that runs at every start sets up the pair only once.
func TestPair_SetupIfMissing(t *testing.T) {
	servers := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir()})
	pair := []string{"--connection-string", loadserver.PairConnection(servers)}
	if code, _, stderr := call(t, append(append([]string{"pair", "setup"}, endpoints...), pair...)...); code != exitFailed || !strings.Contains(stderr, "1405") {
		t.Errorf("without --if-missing: exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := call(t, append(append([]string{"pair", "setup", "--if-missing"}, endpoints...), pair...)...); code != exitDone || !strings.Contains(stdout, "already in a pair (mirroring): nothing to do") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}
