package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// planted are values that must not be in any output, by their descriptions.
type planted struct {
	mu   sync.Mutex
	what map[string]string
}

// plant adds a value to search for, and returns it.
func (p *planted) plant(what, value string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what[value] = what
	return value
}

// No output of a busy server contains a session's id, a lock's handle, an item, a key or a password: at debug level,
// during failovers and faults, with clients that leave and with invalid input.
func TestServe_NoSecretInOutput(t *testing.T) {
	pl := &planted{what: map[string]string{}}
	dir := t.TempDir()
	configuration := filepath.Join(dir, "mirrorstate.yaml")
	write := func(text string) {
		if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {format: json, level: debug}\nsweep: {interval: 1s}\n")
	t.Setenv("MIRRORSTATE_EMBEDDED_PASSWORD", pl.plant("the embedded pair's password", "Emb3dded-planted-Zq7"))
	c := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+pl.plant("the collector's key", "collector-planted-key-5"))
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	p := startServe(t, filepath.Join(dir, "data"), "--config", configuration)

	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	apps := p.api + "/v1/apps/default/sessions"
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			for i := range 12 {
				pl.busy(ctx, t, apps, fmt.Sprintf("%d-%d", n, i))
			}
		})
	}
	fault := func(body string) {
		must(t, []int{200}, "POST", p.admin+"/v1/pair/fault", body, "Content-Type", "application/json")
	}
	must(t, []int{200, 409}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	fault(`{"partner":"principal","fault":"sever"}`)
	clients.Wait()
	// Clients that leave while there is no principal.
	fault(`{"partner":"principal","fault":"freeze"}`)
	leaving, leave := context.WithTimeout(ctx, 300*time.Millisecond)
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		clients.Go(func() {
			_, _, _, _ = request(leaving, method, apps+"/"+pl.plant("an id", "Left-"+method+"-Planted"), "")
		})
	}
	clients.Wait()
	leave()
	fault(`{"partner":"a","fault":"none"}`)
	fault(`{"partner":"b","fault":"none"}`)

	// An invalid configuration, and one with a change that needs a restart, both with secrets.
	for _, text := range []string{
		"pair: {connection_string: 'data source=x;user id=web;password=" + pl.plant("a password in a broken string", "Br0ken-planted") + ";nonsense=1'}\n",
		"pair: {connection_string: 'data source=x;failover partner=y;user id=web;password=" + pl.plant("a password in a string", "G00d-planted") + "'}\n",
		"pair: {a: {address: x}, b: {address: y}, user: web, password: " + pl.plant("a password", "An0ther-planted") + "}\nlog: {level: debug}\n",
	} {
		write(text)
		before := strings.Count(p.stderr.String(), `"msg":"configuration not applied`) + strings.Count(p.stderr.String(), `"msg":"configuration read again"`)
		p.cmd.Process.Signal(syscall.SIGHUP)
		if err := p.stderr.awaitThat(ctx, func(all string) bool {
			return strings.Count(all, `"msg":"configuration not applied`)+strings.Count(all, `"msg":"configuration read again"`) > before
		}); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]string{}
	for _, path := range []string{"/metrics", "/v1/pair", "/readyz", "/healthz", "/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		_, told[path] = must(t, []int{200, 404, 503}, "GET", p.admin+path, "")
	}
	p.stop(t)
	told["standard output"], told["standard error"] = p.stdout.String(), p.stderr.String()
	c.mu.Lock()
	told["the spans"] = c.raw.String()
	c.mu.Unlock()
	pl.search(t, told)
	if n := strings.Count(told["standard error"], `"msg":"request"`); n < 300 {
		t.Errorf("the log has %d requests: its level is not debug", n)
	}
	if !strings.Contains(told["standard error"], `"msg":"client left"`) || !strings.Contains(told["standard error"], `"effect":"after a restart"`) {
		t.Error("the log lacks a client that left, or a change that needs a restart")
	}
}

// busy sends every kind of request for one session, also invalid ones.
func (p *planted) busy(ctx context.Context, t *testing.T, apps, n string) {
	send := func(method, u, body string, header ...string) (h map[string][]string) {
		_, h, _, err := request(ctx, method, u, body, header...)
		if err != nil {
			t.Error(err)
		}
		return h
	}
	first := func(h map[string][]string, name string) string {
		if len(h[name]) == 0 {
			return ""
		}
		return h[name][0]
	}
	item := p.plant("an item", "item-planted-"+n)
	key := p.plant("an idempotency key", "key-planted-"+n)
	location := first(send("POST", apps, item, "Idempotency-Key", key), "Location")
	made := p.plant("an id that was made", location[strings.LastIndexByte(location, '/')+1:])
	own := p.plant("an id", "Own-Planted-"+n+"é")
	for _, id := range []string{made, own} {
		u := apps + "/" + url.PathEscape(id)
		send("PUT", u, item, "Session-Timeout", "30")
		h := send("POST", u+"/lock", "", "Idempotency-Key", key)
		lock := first(h, "Session-Lock")
		if lock != "" {
			p.plant("a lock's handle", lock)
		}
		send("POST", u+"/lock", "")                                                                                // locked
		send("GET", u, "", "If-None-Match", `"`+p.plant("a tag of the client's", "tag-planted-"+n)+`"`)            // locked
		send("PUT", u, item, "Session-Lock", p.plant("a handle that is wrong", "wrong-lock-planted-"+n))           // lost
		send("PUT", u, item, "Session-Lock", lock)                                                                 // done
		send("GET", apps+"/-", "", "Session-Id", id)                                                               // done
		send("PUT", u, item, "If-Match", "planted")                                                                // malformed
		send("GET", u+"?wait="+p.plant("a parameter", "wait-planted-"+n), "")                                      // malformed
		send("PUT", u, item, "Session-Timeout", "x"+id[:8])                                                        // malformed
		send("DELETE", u+"/nowhere", "")                                                                           // no route
		send("GET", apps+"/"+url.PathEscape(p.plant("a malformed id", "with blank planted "+n)), "")               // refused
		send("GET", strings.Replace(u, "/default/", "/"+p.plant("no application", "noapp-planted-"+n)+"/", 1), "") // not found
		send("DELETE", u, "")
	}
	if session.ID(made).ShortHash() == "" {
		t.Error("the id of a new session has no short hash")
	}
}

// search checks that no text contains a planted value, plain or percent-encoded.
func (p *planted) search(t *testing.T, told map[string]string) {
	t.Helper()
	for where, text := range told {
		for value, what := range p.what {
			for _, form := range []string{value, url.PathEscape(value)} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s contains %s, %q: …%q", where, what, value, text[max(0, i-200):min(len(text), i+100)])
				}
			}
		}
	}
}
