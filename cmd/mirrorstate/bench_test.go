package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/session"
)

// asBare makes the test binary the program to compare with: a bare handler on the principal.
const asBare = "MIRRORSTATE_TEST_AS_BARE"

// bareHandler is the shortest handler that does the same work: one procedure call for a read, and one each for locking
// and for storing.
func bareHandler(db *sql.DB) http.Handler {
	call := func(w http.ResponseWriter, r *http.Request, procedure string, args ...any) {
		var (
			result, cookie, age, timeout, flags sql.NullInt32
			expires, created                    sql.NullTime
			locked                              sql.NullBool
			newest, item                        []byte
		)
		row := db.QueryRowContext(r.Context(), procedure, append([]any{sql.Named("id", r.PathValue("key")), sql.Named("epoch", int64(1))}, args...)...)
		if err := row.Scan(&result, &cookie, &age, &timeout, &expires, &created, &locked, &newest, &flags, &item); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Result", strconv.Itoa(int(result.Int32)))
		w.Header().Set("Cookie", strconv.Itoa(int(cookie.Int32)))
		w.Write(item)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{key}", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, "dbo.MirrorState_Get_1", sql.Named("lockTimeout", int32(110)), sql.Named("renew", true),
			sql.Named("allowLocked", false), sql.Named("item", true))
	})
	mux.HandleFunc("POST /{key}", func(w http.ResponseWriter, r *http.Request) {
		op, now := session.NewOperationID(), time.Now().UTC()
		w.Header().Set("Operation", hex.EncodeToString(op[:]))
		call(w, r, "dbo.MirrorState_Acquire_1", sql.Named("notAfter", now.Add(5*time.Second)), sql.Named("op", op[:]),
			sql.Named("sent", now), sql.Named("lockTimeout", int32(110)))
	})
	mux.HandleFunc("PUT /{key}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lockOp, _ := hex.DecodeString(r.Header.Get("Operation"))
		cookie, _ := strconv.Atoi(r.Header.Get("Cookie"))
		op, now := session.NewOperationID(), time.Now().UTC()
		call(w, r, "dbo.MirrorState_Update_1", sql.Named("notAfter", now.Add(5*time.Second)), sql.Named("op", op[:]),
			sql.Named("firstSent", now), sql.Named("resent", false), sql.Named("lockOp", lockOp), sql.Named("lockCookie", int32(cookie)),
			sql.Named("keep", false), sql.Named("timeout", sql.NullInt32{}), sql.Named("flags", int32(0)),
			sql.Named("itemShort", body), sql.Named("itemLong", []byte(nil)))
	})
	return mux
}

// runBare serves the bare handler until the process is killed.
func runBare() {
	connector, err := mssql.NewConnector(os.Getenv(asBare))
	if err != nil {
		panic(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(64)
	db.SetMaxOpenConns(64)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("session API http://%s\n", ln.Addr())
	http.Serve(ln, bareHandler(db))
}

// child is a process that the benchmark has started. It is killed when the benchmark ends.
type child struct {
	pid  int
	base string // the URL of its API
	out  string // its first line of output
}

// startChild runs the test binary as another program, and reads its output up to the first line with mark in it.
func startChild(b testing.TB, mark string, env []string, args ...string) child {
	b.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if text := lines.Text(); strings.Contains(text, mark) {
			go io.Copy(io.Discard, out)
			c := child{pid: cmd.Process.Pid, out: text}
			if m := apiLine.FindStringSubmatch(text); m != nil {
				c.base = m[1]
			}
			return c
		}
	}
	b.Fatalf("%v said nothing of %q", args, mark)
	return child{}
}

// cpu returns the processor time that a process has used.
func (c child) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		b.Skipf("processor times are not available: %v", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// resident returns the resident memory of a process, in bytes.
func (c child) resident(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.pid))
	if err != nil {
		b.Skipf("memory sizes are not available: %v", err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}

// bench is the three processes: the pair, mirrorstate and the bare handler on it.
type bench struct {
	proxy, bare child
	keys        []string // sessions' ids
	client      *http.Client
}

const benchSessions = 256

// startPair runs the embedded pair in a process of its own. It returns the pair's ADO.NET connection string, and the
// driver's connection string of partner a.
func startPair(b testing.TB) (ado, dsn string) {
	b.Helper()
	pair := startChild(b, `"a"`, []string{asProgram + "=1"}, "embedded", "--json", "--data", b.TempDir(),
		"--partner-a", "127.0.0.1:0", "--partner-b", "127.0.0.1:0")
	var strs map[string]string
	if err := json.Unmarshal([]byte(pair.out), &strs); err != nil {
		b.Fatal(err)
	}
	server := func(s string) string { return strings.TrimPrefix(strings.SplitN(s, ";", 2)[0], "server=") }
	rest := strings.ReplaceAll(strings.SplitN(strs["a"], ";", 2)[1], "encrypt=false", "encrypt=disable")
	ado = "data source=" + server(strs["a"]) + ";failover partner=" + server(strs["b"]) + ";" + rest
	host, port, _ := strings.Cut(server(strs["a"]), ",")
	return ado, "server=" + host + ";port=" + port + ";" + rest
}

func startBench(b *testing.B) *bench {
	b.Helper()
	ado, dsn := startPair(b)
	bn := &bench{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	bn.proxy = startChild(b, "session API", []string{asProgram + "=1", "MIRRORSTATE_PAIR_CONNECTION_STRING=" + ado}, "serve",
		"--api", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	b.Cleanup(bn.client.CloseIdleConnections)
	item := strings.Repeat("x", 1024)
	for range benchSessions {
		resp, err := bn.client.Post(bn.proxy.base+"/v1/apps/default/sessions", "", strings.NewReader(item))
		if err != nil || resp.StatusCode != http.StatusCreated {
			b.Fatal(resp, err)
		}
		resp.Body.Close()
		bn.keys = append(bn.keys, resp.Header.Get("Location")[strings.LastIndexByte(resp.Header.Get("Location"), '/')+1:])
	}
	bn.bare = startChild(b, "session API", []string{asBare + "=" + dsn})
	return bn
}

// benchTarget is one of the two programs, with the URLs of its sessions.
type benchTarget struct {
	name  string
	child child
	url   func(id string) string
	lock  func(url string) (method, path string)
}

func (bn *bench) targets() []benchTarget {
	suffix := session.HashApplicationName("/LM/W3SVC/1/ROOT").Suffix()
	return []benchTarget{
		{"mirrorstate", bn.proxy, func(id string) string { return bn.proxy.base + "/v1/apps/default/sessions/" + id },
			func(url string) (string, string) { return "POST", url + "/lock" }},
		{"bare", bn.bare, func(id string) string { return bn.bare.base + "/" + id + suffix },
			func(url string) (string, string) { return "POST", url }},
	}
}

func (bn *bench) do(method, url string, body []byte, header http.Header) (http.Header, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := bn.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 || resp.Header.Get("Result") > "0" {
		return nil, fmt.Errorf("%s %s: %s, result %s", method, url, resp.Status, resp.Header.Get("Result"))
	}
	return resp.Header, nil
}

// read reads one session without a lock; cycleOnce locks and stores one, with two requests.
func (bn *bench) read(t benchTarget, n int) error {
	_, err := bn.do("GET", t.url(bn.keys[n%len(bn.keys)]), nil, nil)
	return err
}

func (bn *bench) cycleOnce(t benchTarget, n int, item []byte) error {
	url := t.url(bn.keys[n%len(bn.keys)])
	method, path := t.lock(url)
	h, err := bn.do(method, path, nil, nil)
	if err != nil {
		return err
	}
	_, err = bn.do("PUT", url, item, http.Header{"Session-Lock": h["Session-Lock"], "Operation": h["Operation"], "Cookie": h["Cookie"]})
	return err
}

// BenchmarkBeside compares mirrorstate with the bare handler on the same pair: saturated by 16 clients, and at 1,000
// requests per second. At that rate the median latency and the processor time of a request count.
func BenchmarkBeside(b *testing.B) {
	bn := startBench(b)
	item := bytes.Repeat([]byte("y"), 1024)
	for _, t := range bn.targets() { // warm up both before measuring one
		for i := range 2000 {
			if err := bn.read(t, i); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, t := range bn.targets() {
		b.Run("saturated/read/"+t.name, func(b *testing.B) {
			bn.saturate(b, t, func(n int) error { return bn.read(t, n) })
		})
	}
	for _, t := range bn.targets() {
		b.Run("saturated/cycle/"+t.name, func(b *testing.B) {
			bn.saturate(b, t, func(n int) error { return bn.cycleOnce(t, n, item) })
		})
	}
	for _, t := range bn.targets() {
		b.Run("paced/read/"+t.name, func(b *testing.B) {
			bn.pace(b, t, func(n int) error { return bn.read(t, n) })
		})
	}
	for _, t := range bn.targets() {
		b.Run("idle/"+t.name, func(b *testing.B) { bn.idle(b, t) })
	}
}

// saturate runs 16 clients, each with sessions of its own and without a pause between requests.
func (bn *bench) saturate(b *testing.B, t benchTarget, once func(n int) error) {
	const clients = 16
	var wg sync.WaitGroup
	before := t.child.cpu(b)
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for i := c; i < b.N; i += clients {
				if err := once(c*benchSessions/clients + i/clients%(benchSessions/clients)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(t.child.cpu(b)-before)/float64(b.N)/1e3, "server-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// pace starts b.N requests at 1,000 per second. Each starts at its own time, even if earlier ones are still running.
func (bn *bench) pace(b *testing.B, t benchTarget, once func(n int) error) {
	const every = time.Millisecond
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	before := t.child.cpu(b)
	b.ResetTimer()
	begin := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := range b.N {
		for time.Since(begin) < time.Duration(i)*every {
			<-ticker.C
		}
		wg.Go(func() {
			from := time.Now()
			if err := once(i); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(from)
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
	b.ReportMetric(float64(t.child.cpu(b)-before)/float64(b.N)/1e3, "server-µs/op")
}

// idle opens 1,000 connections, sends one request on each, and measures the resident memory then. It ignores b.N: once
// is enough.
func (bn *bench) idle(b *testing.B, t benchTarget) {
	const connections = 1000
	before := t.child.resident(b)
	for i := range connections {
		c, err := net.Dial("tcp", strings.TrimPrefix(t.child.base, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(waitLimit))
		req, _ := http.NewRequestWithContext(b.Context(), "GET", t.url(bn.keys[i%len(bn.keys)]), nil)
		if err := req.Write(c); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	b.ReportMetric(t.child.resident(b)/1e6, "resident-MB")
	b.ReportMetric((t.child.resident(b)-before)/connections/1e3, "kB/connection")
}
