package partner

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

func TestRun_ProbeIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		probes := func(d time.Duration) int {
			f.set(func(_, b *fakeServer) { b.probes = nil })
			time.Sleep(d)
			n := 0
			f.set(func(_, b *fakeServer) { n = len(b.probes) })
			return n
		}
		if n := probes(10 * time.Second); n < 9 || n > 10 {
			t.Errorf("steady: %d probes in 10 s, want one a second", n)
		}
		f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
		if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
			t.Fatal(err)
		}
		if n := probes(time.Second); n < 300 || n > 340 {
			t.Errorf("without a principal: %d probes in the first second, want one every 3 ms", n)
		}
		time.Sleep(30 * time.Second)
		if n := probes(time.Second); n < 32 || n > 35 {
			t.Errorf("long without a principal: %d probes in a second, want one every 30 ms", n)
		}
		f.set(func(a, b *fakeServer) { a.down, b.down = false, false })
		if err := p.WaitForPrincipal(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := probes(10 * time.Second); n < 9 || n > 10 {
			t.Errorf("steady again: %d probes in 10 s", n)
		}
	})
}

func TestRun_AFrozenPartnerDoesNotDelayTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		f.set(func(a, _ *fakeServer) { a.frozen = true })
		if err := p.await(t.Context(), false, func(v choose.View) bool { return !v.Serving }); err != nil {
			t.Fatal(err)
		}
		f.set(func(_, b *fakeServer) { b.role, b.sequence = choose.RolePrincipal, 2 })
		began := time.Now()
		if err := p.WaitForPrincipal(t.Context()); err != nil || time.Since(began) > 4*time.Millisecond {
			t.Errorf("b was noticed after %s, %v", time.Since(began), err)
		}
	})
}

func TestRun_Fencing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch = true, 0
		p := f.startServing()
		if epoch, server := f.row(); epoch != 1 || server != "SQLA" {
			t.Fatalf("the first principal's epoch: %d of %q", epoch, server)
		}
		f.failOver()
		time.Sleep(2 * time.Second)
		if _, server := f.row(); server != "SQLB" {
			t.Fatalf("the epoch is %q's, want SQLB's", server)
		}
		if s := p.Status(); s.Principal != choose.B || s.Epoch != 2 {
			t.Fatalf("after a failover: %+v", s)
		}
		// b is lost, and a comes back with its old data: a claims to be principal, and is fenced.
		f.set(func(a, b *fakeServer) {
			a.role, a.sequence, b.down = choose.RolePrincipal, 1, true
			f.epoch, f.server = 1, "SQLA"
		})
		time.Sleep(5 * time.Second)
		if s := p.Status(); s.Principal != "" || s.SplitBrain || !p.hold.Holding() {
			t.Fatalf("an old principal was accepted: %+v", s)
		}
	})
}

func TestRun_AnotherProxyTakesTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 4, "SQLA"
		p := f.startServing()
		f.set(func(_, _ *fakeServer) { f.epoch, f.server = 5, "sql-a.example" })
		time.Sleep(2 * time.Second)
		if epoch, server := f.row(); p.Status().Epoch != 5 || epoch != 5 || server != "sql-a.example" {
			t.Errorf("epoch %d, the row has %d of %q; want 5, and no new epoch", p.Status().Epoch, epoch, server)
		}
	})
}

func TestRun_SplitBrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.set(func(_, b *fakeServer) { b.role = choose.RolePrincipal }) // equal role sequences cannot be ordered
		p := f.start()
		time.Sleep(3 * time.Second)
		if s := p.Status(); !s.SplitBrain || s.Principal != "" {
			t.Errorf("two claims, no principal accepted before: %+v", s)
		}
		f.set(func(_, b *fakeServer) { b.role = choose.RoleMirror })
		time.Sleep(time.Second)
		f.set(func(_, b *fakeServer) { b.role = choose.RolePrincipal })
		time.Sleep(3 * time.Second)
		if s := p.Status(); !s.SplitBrain || s.Principal != choose.A {
			t.Errorf("two claims, a accepted before: %+v", s)
		}
		f.set(func(_, b *fakeServer) { b.sequence = 2 })
		time.Sleep(3 * time.Second)
		if s := p.Status(); !s.SplitBrain || s.Principal != choose.B {
			t.Errorf("two claims, b newer: %+v", s)
		}
	})
}

func TestRun_Events(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.newPair()
		events, cancel := p.Subscribe()
		ctx := t.Context()
		go func() { _ = p.Run(ctx) }()
		if err := p.WaitForPrincipal(ctx); err != nil {
			t.Fatal(err)
		}
		f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
		time.Sleep(3 * time.Second)
		f.set(func(a, b *fakeServer) { b.down, b.role, b.sequence = false, choose.RolePrincipal, 2 })
		time.Sleep(3 * time.Second)
		cancel()
		cancel() // a second call does nothing
		var kinds []string
		for e := range events {
			if !slices.Contains(kinds, e.Kind+" "+string(e.Partner)) {
				kinds = append(kinds, e.Kind+" "+string(e.Partner))
			}
		}
		for _, want := range []string{"principal a", "no-principal ", "breaker a", "breaker b", "principal b", "role b"} {
			if !slices.Contains(kinds, want) {
				t.Errorf("no event %q among %v", want, kinds)
			}
		}
	})
}

func TestStatus_Contract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 3, "SQLA"
		p := f.startServing(func(c *Config) { c.Topology = "embedded" })
		raw, err := json.Marshal(p.Status())
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"database": "ASPState", "topology": "embedded", "schema": "extended", "principal": "a",
			"epoch": 3.0, "role_sequence": 1.0, "exposed": false, "split_brain": false, "holding": 0.0,
		}
		for k, w := range want {
			if got[k] != w {
				t.Errorf("%s: got %v, want %v", k, got[k], w)
			}
		}
		a := got["partners"].([]any)[0].(map[string]any)
		want = map[string]any{
			"name": "a", "address": "a:1433", "role": "principal", "state": "SYNCHRONIZED", "safety": "FULL",
			"breaker": "closed", "latency_ms": 0.2, "last_error": "",
		}
		for k, w := range want {
			if a[k] != w {
				t.Errorf("partners[0].%s: got %v, want %v", k, a[k], w)
			}
		}
		if _, err := time.Parse(time.RFC3339, a["seen"].(string)); err != nil {
			t.Errorf("seen: %v", err)
		}
	})
}

func TestStatus_Exposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		f.set(func(a, b *fakeServer) { a.mirroring, b.down = "DISCONNECTED", true })
		time.Sleep(2 * time.Second)
		s := p.Status()
		if !s.Exposed || s.Principal != choose.A || s.Partners[1].LastError == "" || s.Topology != "mirroring" {
			t.Errorf("without the mirror: %+v", s)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := newBreaker(choose.A, func(from, to string) { changes = append(changes, from+">"+to) })
		call := func(result error) error {
			return b.run(func() (struct{}, error) { return struct{}{}, result })
		}
		for range 100 {
			_ = call(errNotCounted)
		}
		for range breakerTrips - 1 {
			_ = call(errUnreachable)
		}
		_ = call(nil)
		if b.stateName() != "closed" {
			t.Fatal("opened by cancelled calls, or by failures that were not consecutive")
		}
		for range breakerTrips {
			_ = call(errUnreachable)
		}
		if err := call(nil); b.stateName() != "open" || classify.Classify(err, classify.Connecting) != classify.Down {
			t.Fatalf("after %d failures in a row: %s, %v", breakerTrips, b.stateName(), err)
		}
		b.record(true, false)
		if b.stateName() != "open" {
			t.Error("closed by an old connection, which says nothing about new ones")
		}
		b.record(true, true)
		if err := call(nil); b.stateName() != "closed" || err != nil {
			t.Errorf("after a successful probe on a new connection: %s, %v", b.stateName(), err)
		}
		for range breakerTrips {
			b.record(false, true)
		}
		time.Sleep(breakerTimeout + time.Millisecond)
		for range breakerTrials {
			_ = call(nil)
		}
		if b.stateName() != "closed" {
			t.Errorf("after successful trials: %s", b.stateName())
		}
		want := []string{"closed>open", "open>closed", "closed>open", "open>half-open", "half-open>closed"}
		if !slices.Equal(changes, want) {
			t.Errorf("changes %v, want %v", changes, want)
		}
	})
}

func TestBreaker_ShowsReachability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		time.Sleep(20 * time.Second)
		if s := p.Status(); s.Partners[1].Breaker != "closed" {
			t.Errorf("the breaker of a healthy mirror is %s", s.Partners[1].Breaker)
		}
		f.set(func(_, b *fakeServer) { b.down = true })
		time.Sleep(20 * time.Second)
		if s := p.Status(); s.Partners[1].Breaker != "open" || s.Principal != choose.A {
			t.Errorf("the breaker of an unreachable mirror is %s, the principal %q", s.Partners[1].Breaker, s.Principal)
		}
		f.set(func(_, b *fakeServer) { b.down = false })
		time.Sleep(2 * time.Second)
		if s := p.Status(); s.Partners[1].Breaker != "closed" {
			t.Errorf("the breaker of a mirror that is back: %s", s.Partners[1].Breaker)
		}
	})
}

// A long outage of a partner is logged once when it begins and once when it ends.
func TestBreaker_IsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told bytes.Buffer
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&told, nil)) })
		events, cancel := p.Subscribe()
		f.set(func(_, b *fakeServer) { b.down = true })
		time.Sleep(time.Minute)
		tried := p.Stats().Published[EventKey{"breaker", choose.B, "half-open"}]
		f.set(func(_, b *fakeServer) { b.down = false })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		cancel()
		var changes []string
		for e := range events {
			if e.Kind == "breaker" {
				changes = append(changes, string(e.Partner)+" "+e.Reason)
			}
		}
		if len(changes) != 2 || changes[0] != "b closed to open" || !strings.HasSuffix(changes[1], " to closed") {
			t.Errorf("changes published during a minute of outage of b: %v", changes)
		}
		if n := strings.Count(told.String(), "breaker changed"); n != 2 {
			t.Errorf("%d lines of the log, want 2:\n%s", n, &told)
		}
		if tried < 10 {
			t.Errorf("%d trials were counted, want 10 or more", tried)
		}
	})
}

func TestProbePause(t *testing.T) {
	cfg := Config{}.withDefaults()
	for trouble, want := range map[time.Duration]time.Duration{
		-1: time.Second, 0: 3 * time.Millisecond, 3 * time.Second: 3 * time.Millisecond,
		6500 * time.Millisecond: 16500 * time.Microsecond, 10 * time.Second: 30 * time.Millisecond, time.Hour: 30 * time.Millisecond,
	} {
		if got := probePause(&cfg, trouble); got != want {
			t.Errorf("after %s without a principal: %s, want %s", trouble, got, want)
		}
	}
}

func TestNew_Validates(t *testing.T) {
	good := func() Config {
		return Config{Database: "ASPState", Partners: [2]link.PartnerConfig{
			{ConnectionString: "server=sql1;user id=sa;password=geheim"}, {ConnectionString: "sqlserver://sa:geheim@sql2:1444"}}}
	}
	p, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	if p.members[0].address != "sql1:1433" || p.members[1].address != "sql2:1444" {
		t.Errorf("addresses %s and %s", p.members[0].address, p.members[1].address)
	}
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no database", func(c *Config) { c.Database = "" }},
		{"no connection string", func(c *Config) { c.Partners[1].ConnectionString = "" }},
		{"a broken connection string", func(c *Config) { c.Partners[0].ConnectionString = "sqlserver://sa:geheim@[bad" }},
		{"names swapped", func(c *Config) { c.Partners[0].Name, c.Partners[1].Name = choose.B, choose.A }},
		{"exposed", func(c *Config) { c.Exposed = "maybe" }},
		{"login shorter than dial", func(c *Config) { c.Budgets.Dial = 4 * time.Second }},
		{"attempt shorter than login", func(c *Config) { c.Budgets.Attempt = 2 * time.Second }},
		{"attempt shorter than probe", func(c *Config) { c.Budgets.Attempt, c.Budgets.Probe = 3*time.Second, 4*time.Second }},
		{"negative window", func(c *Config) { c.Hold.Window = -1 }},
		{"trouble pause longer than steady pause", func(c *Config) { c.MonitorTrouble = time.Minute }},
		{"no connections", func(c *Config) { c.MaxConns = -1 }},
	}
	for _, tt := range tests {
		c := good()
		tt.change(&c)
		_, err := New(c)
		if err == nil {
			t.Errorf("%s: accepted", tt.name)
			continue
		}
		if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the password is in %q", tt.name, err)
		}
	}
}

// The stock schema is logged once at the start, and not again after each failover.
func TestPair_WarnsOnceAboutTheStockSchema(t *testing.T) {
	for _, extended := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var told bytes.Buffer
			f := newFakePair(t)
			f.set(func(*fakeServer, *fakeServer) { f.extended = extended })
			p := f.startServing(func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&told, nil)) })
			f.set(func(a, b *fakeServer) {
				a.role, b.role = choose.RoleMirror, choose.RolePrincipal
				a.sequence, b.sequence = 2, 2
			})
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if got := p.Status().Principal; got != choose.B {
				t.Fatalf("principal %q, want b", got)
			}
			if n := strings.Count(told.String(), "level=WARN msg=\"the schema is the stock one"); (n == 1) == extended {
				t.Errorf("extended %v: warned %d times", extended, n)
			}
		})
	}
}
