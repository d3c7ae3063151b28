package partner

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// withMemory sets Config.Memory.
func withMemory(path string) func(*Config) { return func(c *Config) { c.Memory = path } }

// runWhile runs a new pair on f while during runs.
func (f *fakePair) runWhile(during func(p *Pair), changes ...func(*Config)) {
	f.t.Helper()
	p := f.newPair(changes...)
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	during(p)
	cancel()
	if err := <-done; err != nil {
		f.t.Errorf("Run: %v", err)
	}
}

func TestMemory_ARestartedProxyIgnoresAFormerPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pair.json")
		f := newFakePair(t)
		f.extended = true
		f.runWhile(func(p *Pair) {
			_ = p.WaitForPrincipal(t.Context())
			f.failOver()
			time.Sleep(2 * time.Second)
			if s := p.Status(); s.Principal != choose.B || s.Epoch != 2 {
				t.Fatalf("after a failover: %+v", s)
			}
		}, withMemory(path))
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("the file: %v, %v", info, err)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
			t.Errorf("temporary files are left: %q", left)
		}
		// Only a answers now, with the data it had before the failover.
		f.set(func(a, b *fakeServer) {
			a.role, a.sequence, b.down = choose.RolePrincipal, 1, true
			f.epoch, f.server = 1, "SQLA"
		})
		f.runWhile(func(p *Pair) {
			time.Sleep(5 * time.Second)
			if s := p.Status(); s.Principal != "" || s.Epoch != 2 || !strings.Contains(s.Reason, "claims epoch 1, but epoch 2 was accepted") {
				t.Errorf("with a memory: %+v", s)
			}
			if n := p.Stats().Fenced[choose.FencedEpoch]; n != 1 {
				t.Errorf("counted %d fenced claims, want one for one change", n)
			}
		}, withMemory(path))
		f.runWhile(func(p *Pair) {
			time.Sleep(5 * time.Second)
			if s := p.Status(); s.Principal != choose.A {
				t.Errorf("without a memory, a must be accepted: %+v", s)
			}
		})
	})
}

func TestMemory_IsWrittenWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pair.json")
		f := newFakePair(t)
		f.extended = true
		f.startServing(withMemory(path))
		time.Sleep(time.Second)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseRecord(text)
		want := record{Version: 1, Database: "ASPState", Partner: choose.A, Address: "a:1433", Server: "SQLA", Extended: true, Epoch: 1, Sequence: 1, Session: "guid"}
		if err != nil || r != want {
			t.Errorf("%v: got %+v, want %+v", err, r, want)
		}
	})
}

func TestMemory_RepeatsAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		f := newFakePair(t)
		p := f.newPair(withMemory(filepath.Join(folder, "pair.json")), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		if err := p.WaitForPrincipal(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := p.Stats().MemoryErrors; n == 0 {
			t.Error("a failed write was not counted")
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * memoryRetry)
		if _, err := os.Stat(p.memory.path); err != nil {
			t.Errorf("the write was not repeated: %v", err)
		}
		// A second failure is logged, too.
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		f.failOver()
		time.Sleep(10 * memoryRetry)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n, again := strings.Count(log.String(), "could not be written"), strings.Count(log.String(), "is written to the memory file again"); n != 2 || again != 1 {
			t.Errorf("two failures were logged %d times, the end of one %d times:\n%s", n, again, &log)
		}
	})
}

func TestMemory_Damaged(t *testing.T) {
	good := `{"version":1,"database":"ASPState","partner":"a","epoch":3,"role_sequence":5,"session":"guid"}`
	tests := []struct{ name, text, want string }{
		{"empty", "", "is damaged"},
		{"truncated", good[:40], "is damaged"},
		{"two records", good + good, "is damaged"},
		{"another version", strings.Replace(good, `"version":1`, `"version":2`, 1), "version 2"},
		{"unknown partner", strings.Replace(good, `"a"`, `"c"`, 1), `partner "c"`},
		{"negative epoch", strings.Replace(good, "3", "-3", 1), "impossible"},
		{"another database", strings.Replace(good, "ASPState", "Other", 1), "a file of its own"},
	}
	path := filepath.Join(t.TempDir(), "pair.json")
	cfg := Config{Database: "ASPState", Memory: path, Partners: [2]link.PartnerConfig{
		{ConnectionString: "server=127.0.0.1;port=1"}, {ConnectionString: "server=127.0.0.1;port=2"}}}
	for _, tt := range tests {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q and the file name", tt.name, err, tt.want)
		}
	}
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Status(); s.Epoch != 3 || s.RoleSequence != 5 {
		t.Errorf("a good file: %+v", s)
	}
	cfg.Memory = filepath.Join(path, "no", "folder")
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), cfg.Memory) {
		t.Errorf("no folder: %v", err)
	}
}

func TestMemory_PartnersThatChangedPlaces(t *testing.T) {
	cfg := &Config{Partners: [2]link.PartnerConfig{{Name: choose.A, Address: "two:1"}, {Name: choose.B, Address: "one:1"}}}
	r := record{Partner: choose.A, Address: "one:1", Overruled: choose.Overruled{Partner: choose.B}}.rename(cfg)
	if r.Partner != choose.B || r.Overruled.Partner != choose.A {
		t.Errorf("changed places: %+v", r)
	}
	if r := (record{Partner: choose.A, Address: "three:1"}).rename(cfg); r.Partner != choose.A {
		t.Errorf("an unknown address: %+v", r)
	}
}
