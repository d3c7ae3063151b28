package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server's output contains no operation id in any form, and a lock's handle only in the answer that grants the lock.
// Output is: headers and bodies of answers, the log at debug level, metrics, spans, events. The test reads the ids, and
// the fleet's secret, from the rows of both partners while the server is busy.
func TestServe_NoOperationIDInOutput(t *testing.T) {
	dir := t.TempDir()
	configuration := filepath.Join(dir, "mirrorstate.yaml")
	if err := os.WriteFile(configuration, []byte("log: {format: json, level: debug}\nsweep: {interval: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const password = "Emb3dded-0perations"
	t.Setenv("MIRRORSTATE_EMBEDDED_PASSWORD", password)
	c := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	p := startServe(t, filepath.Join(dir, "data"), "--config", configuration)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()

	o := &observed{handles: map[string]bool{}}
	rows := watchRows(ctx, t, p, password)
	events := watchEvents(ctx, t, p)
	var clients sync.WaitGroup
	for n := range 3 {
		clients.Go(func() {
			for i := range 8 {
				o.busy(ctx, t, p.api+"/v1/apps/default/sessions", fmt.Sprintf("%d-%d", n, i))
			}
		})
	}
	must(t, []int{200, 409}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	must(t, []int{200}, "POST", p.admin+"/v1/pair/fault", `{"partner":"principal","fault":"sever"}`, "Content-Type", "application/json")
	clients.Wait()
	ids := rows()
	for _, path := range []string{"/v1/apps/default/sessions", "/v1/pair", "/metrics", "/", "/readyz", "/healthz", "/debug/pprof/goroutine?debug=2"} {
		status, h, body, err := request(ctx, "GET", p.admin+path, "")
		if err != nil || status >= 400 && path != "/readyz" {
			t.Fatalf("%s: %d, %v", path, status, err)
		}
		o.answer("GET "+path, status, h, body)
	}
	told := map[string]string{"the events": events()}
	p.stop(t)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, a := range o.answers {
		told[fmt.Sprintf("answer %d, %s", i, a.what)] = a.text
	}
	told["standard output"], told["standard error"] = p.stdout.String(), p.stderr.String()
	c.mu.Lock()
	told["the spans"] = c.raw.String()
	c.mu.Unlock()
	if len(ids) < 100 || len(o.handles) < 40 || !strings.Contains(told["the events"], "principal") || strings.Count(told["standard error"], `"msg":"request"`) < 300 || told["the spans"] == "" {
		t.Errorf("too little to search for: %d operation ids, %d handles, events %q", len(ids), len(o.handles), told["the events"])
	}
	var n needles
	for id := range ids {
		n.plantID(id)
	}
	for handle := range o.handles {
		n.plant("a lock's handle", handle)
	}
	found := 0
	for where, text := range told {
		if what := n.in(text); what != "" {
			if found++; found <= 10 {
				t.Errorf("%s: found %s", where, what)
			}
		}
	}
	if found > 10 {
		t.Errorf("and %d more places", found-10)
	}
}

// observed collects the answers of a server.
type observed struct {
	mu      sync.Mutex
	answers []answered
	handles map[string]bool
}

// answered is one answer as text: status, headers and body.
type answered struct{ what, text string }

// answer adds an answer. It removes the handle of a lock that the answer grants, which is allowed there.
func (o *observed) answer(what string, status int, h http.Header, body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if handle := h.Get("Session-Lock"); handle != "" && status == http.StatusOK && strings.HasPrefix(what, "POST ") {
		o.handles[handle] = true
		granted := h
		h = maps.Clone(h)
		delete(h, "Session-Lock")
		if len(granted["Session-Lock"]) != 1 {
			h["Session-Lock"] = granted["Session-Lock"]
		}
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%d\n", status)
	_ = h.Write(&text)
	o.answers = append(o.answers, answered{what, text.String() + "\n" + body})
}

// busy sends every kind of request for one session. It leaves the session locked.
func (o *observed) busy(ctx context.Context, t *testing.T, sessions, n string) {
	send := func(method, u, body string, header ...string) http.Header {
		status, h, text, err := request(ctx, method, u, body, header...)
		if err != nil {
			t.Error(err)
			return http.Header{}
		}
		o.answer(method+" "+strings.TrimPrefix(u, sessions), status, h, text)
		return h
	}
	location := send("POST", sessions, "one", "Idempotency-Key", "create-"+n).Get("Location")
	u := sessions + location[strings.LastIndexByte(location, '/'):]
	tag := send("GET", u, "").Get("ETag")
	send("HEAD", u, "")
	send("GET", u, "", "If-None-Match", tag)
	send("PUT", u, "two", "If-Match", tag)
	send("PUT", u, "no", "If-Match", tag)
	send("PUT", u, "no", "If-None-Match", "*")
	send("PUT", u, "three", "If-Match", "*", "Idempotency-Key", "store-"+n)
	for range 2 { // the second time the operation is found
		send("POST", u+"/lock", "", "Idempotency-Key", "lock-"+n)
	}
	lock := send("POST", u+"/lock", "", "Idempotency-Key", "lock-"+n).Get("Session-Lock")
	send("GET", u+"?locked=allow", "")
	send("GET", u, "")
	send("PUT", u, "no", "Session-Lock", lock[1:]+"A")
	send("PUT", u+"?keep=lock", "four", "Session-Lock", lock)
	send("POST", u+"/touch", "")
	send("DELETE", u+"/lock", "", "Session-Lock", lock)
	send("DELETE", u+"/lock", "", "Session-Lock", lock) // lost
	send("POST", u+"/lock", "")
}

// watchRows reads the operation ids in the rows of both partners, and the fleet's secret, until stop is called.
func watchRows(ctx context.Context, t *testing.T, p *program, password string) (stop func() map[[16]byte]bool) {
	t.Helper()
	partners := regexp.MustCompile(`partner [ab] +(server=\S.*)`).FindAllStringSubmatch(p.stdout.String(), -1)
	if len(partners) != 2 {
		t.Fatalf("no connection strings: %s", p.stdout)
	}
	ids := map[[16]byte]bool{}
	var dbs []*sql.DB
	for _, m := range partners {
		db, err := sql.Open("sqlserver", strings.NewReplacer("password=…", "password="+password, "encrypt=false", "encrypt=disable").Replace(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		dbs = append(dbs, db)
	}
	var missed error
	secrets := 0
	look := func() {
		for _, db := range dbs {
			rows, err := db.QueryContext(ctx, "SELECT LockOperationId, OperationId1, OperationId2, OperationId3, OperationId4 FROM dbo.ASPStateTempSessions")
			if err != nil {
				missed = err // of the mirror; reported if no partner had rows
				continue
			}
			for rows.Next() {
				var five [5][]byte
				if rows.Scan(&five[0], &five[1], &five[2], &five[3], &five[4]) == nil {
					for _, id := range five {
						if len(id) == 16 {
							ids[[16]byte(id)] = true
						}
					}
				}
			}
			rows.Close()
			var secret []byte
			if db.QueryRowContext(ctx, "SELECT FleetSecret FROM dbo.MirrorStateEpoch").Scan(&secret) == nil && len(secret) == 32 {
				ids[[16]byte(secret[:16])], ids[[16]byte(secret[16:])] = true, true // searched for like two ids
				secrets++
			}
		}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			look()
			select {
			case <-tick.C:
			case <-over:
				tick.Stop()
				look()
				return
			}
		}
	}()
	return func() map[[16]byte]bool {
		close(over)
		<-ended
		if len(ids) == 0 || secrets == 0 {
			t.Errorf("no row or no secret was read (%d secrets): %v", secrets, missed)
		}
		return ids
	}
}

// watchEvents collects the pair's events until stop is called.
func watchEvents(ctx context.Context, t *testing.T, p *program) (stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, "GET", p.admin+"/v1/pair/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	ended := make(chan struct{})
	go func() { defer close(ended); io.Copy(&text, resp.Body) }()
	return func() string { cancel(); <-ended; resp.Body.Close(); return text.String() }
}

// needles are texts to search for, indexed by their first bytes.
type needles struct{ by map[string]string }

// needle is the number of bytes that are compared: the length of a binary operation id.
const needle = 16

func (n *needles) plant(what, text string) {
	if n.by == nil {
		n.by = map[string]string{}
	}
	n.by[text[:needle]] = what + ", " + text
}

// plantID adds an operation id in every likely form: binary, in hexadecimal, as a GUID, and in base64 of both
// alphabets, at each offset within the encoded text.
func (n *needles) plantID(id [16]byte) {
	n.plant("an operation id as it is", string(id[:]))
	for _, text := range []string{hex.EncodeToString(id[:]), fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])} {
		n.plant("an operation id in hexadecimal", text)
		n.plant("an operation id in hexadecimal", strings.ToUpper(text))
	}
	mixed := slices.Concat([]byte{id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6]}, id[8:]) // as SQL Server writes a uniqueidentifier
	n.plant("an operation id as a GUID", strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", mixed[:4], mixed[4:6], mixed[6:8], mixed[8:10], mixed[10:])))
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := encoding.EncodeToString(append(make([]byte, before), id[:]...))
			n.plant("an operation id in base64", text[(before*8+5)/6:(before+len(id))*8/6])
		}
	}
	n.plant("an operation id in Go's syntax", strings.Trim(fmt.Sprint(id), "[]"))
}

// in returns which needle a text contains; "" if it contains none.
func (n *needles) in(text string) string {
	for i := 0; i+needle <= len(text); i++ {
		if what, ok := n.by[text[i:i+needle]]; ok {
			return what
		}
	}
	return ""
}

// The search finds an id in each form.
func TestNeedles(t *testing.T) {
	var n needles
	id := [16]byte{0xfb, 0xef, 0xbe, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}
	n.plantID(id)
	for _, text := range []string{
		"x" + string(id[:]) + "y", fmt.Sprintf("%x", id), fmt.Sprintf("0x%X", id), fmt.Sprint(id),
		"A" + base64.StdEncoding.EncodeToString(append([]byte{1}, id[:]...)), base64.URLEncoding.EncodeToString(append([]byte{1, 2}, id[:]...)),
		base64.RawURLEncoding.EncodeToString(append(append(make([]byte, 13), id[:]...), 7)), "FBEFBE03-0405-0607-0809-0A0B0C0D0EFF", "03BEEFFB-0504-0706-0809-0A0B0C0D0EFF",
	} {
		if n.in(text) == "" {
			t.Errorf("not found in %q", text)
		}
	}
	if what := n.in(strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAA 00000000000000000000", 10)); what != "" {
		t.Errorf("found %s in a text without one", what)
	}
}
