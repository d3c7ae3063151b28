package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// spread is how many sessions the clients share while a partner is broken: more than
// there are clients. Where a few hammer one session, they can overrun its ring of four
// operations while the fate of a fifth is open, which is an honest 504.
const spread = 24

// between is how long a test's polling rests.
const between = 20 * time.Millisecond

// state reads the pair's state.
func (p *program) state(t *testing.T) server.PairStatus {
	t.Helper()
	_, text := must(t, []int{200}, "GET", p.admin+"/v1/pair", "", p.auth...)
	var st server.PairStatus
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits for the pair to be as asked for.
func (p *program) until(t *testing.T, what string, is func(server.PairStatus) bool) server.PairStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rest := time.NewTicker(between)
	defer rest.Stop()
	for {
		st := p.state(t)
		if is(st) {
			return st
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the pair is not %s: %+v; serve's errors:\n%s", what, st, p.stderr)
		case <-rest.C:
		}
	}
}

// synchronized: a principal serves, and its mirror has everything.
func synchronized(st server.PairStatus) bool {
	return st.Principal != "" && !st.Exposed && st.Partners[0].State == "SYNCHRONIZED" && st.Partners[1].State == "SYNCHRONIZED"
}

// fault breaks a partner.
func (p *program) fault(t *testing.T, body string) {
	t.Helper()
	must(t, []int{200}, "POST", p.admin+"/v1/pair/fault", body, append([]string{"Content-Type", "application/json"}, p.auth...)...)
}

// healed lifts the faults of a partner and waits until the pair is whole.
func (p *program) healed(t *testing.T, partner string) {
	t.Helper()
	p.fault(t, `{"partner":"`+partner+`","fault":"none"}`)
	p.until(t, "SYNCHRONIZED again", synchronized)
}

// watch collects the kinds of the pair's events until the returned function is called.
func (p *program) watch(t *testing.T) (kinds func() string) {
	t.Helper()
	c, err := client.New(client.Config{URL: p.admin})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, done := make(chan struct{}), make(chan struct{})
	var seen []string
	go func() {
		defer close(done)
		defer c.Close()
		for e, err := range c.Events(ctx) {
			if err != nil {
				return
			}
			if len(seen) == 0 {
				close(first)
			}
			seen = append(seen, e.Kind+" "+e.Partner)
		}
	}()
	select {
	case <-first:
	case <-time.After(patience):
		t.Error("the stream of events does not begin")
	}
	return func() string {
		cancel()
		<-done
		return strings.Join(seen, ", ")
	}
}

// TestServe_TakesOver breaks the principal under load, once each way: the witness and
// the mirror agree, the mirror takes over, no request fails and every counter is exact.
// Then the old principal returns as mirror, and takes the calls again in a planned failover.
func TestServe_TakesOver(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"crash", "stop", "freeze", "isolate"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // much of it is waiting
			p := startServe(t, t.TempDir(), "--partner-timeout", "5s")
			p.until(t, "SYNCHRONIZED", synchronized)
			urls := counters(t, p, spread)
			kinds := p.watch(t)
			l := startLoad(t.Context(), p, *loadClients, urls)
			l.after(t, *loadBetween)
			p.fault(t, `{"partner":"principal","fault":"`+kind+`"}`)
			p.until(t, "served by b", func(st server.PairStatus) bool { return st.Principal == "b" })
			l.after(t, *loadBetween)
			p.healed(t, "a")
			l.after(t, *loadBetween)
			must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
			l.after(t, *loadBetween)
			l.end(t)
			l.exact(t, urls)
			if seen := kinds(); !strings.Contains(seen, "fault a") || !strings.Contains(seen, "principal b") || !strings.Contains(seen, "principal a") {
				t.Errorf("the stream of events had %s", seen)
			}
			p.stop(t)
		})
	}
}

// TestServe_RidesOut breaks what is no reason to change roles: nobody takes over, and
// again no request fails.
func TestServe_RidesOut(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir())
	began := p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, spread)
	l := startLoad(t.Context(), p, *loadClients, urls)
	for _, fault := range []string{
		`{"partner":"a","fault":"sever"}`,
		`{"partner":"b","fault":"sever"}`,
		`{"partner":"a","fault":"slow","delay_ms":5,"jitter_ms":4}`,
		`{"partner":"a","fault":"partition"}`,
		`{"partner":"b","fault":"crash"}`,
	} {
		l.after(t, *loadBetween)
		p.fault(t, fault)
		l.after(t, *loadBetween/2)
		if strings.Contains(fault, "partition") || strings.Contains(fault, "crash") {
			if st := p.until(t, "exposed", func(st server.PairStatus) bool { return st.Exposed }); st.Principal != "a" {
				t.Errorf("%s: %s is principal", fault, st.Principal)
			}
		}
		p.fault(t, `{"partner":"b","fault":"none"}`)
		p.healed(t, "a")
	}
	if st := p.state(t); st.Principal != "a" || st.RoleSequence != began.RoleSequence {
		t.Errorf("%s is principal, role sequence %d: somebody took over", st.Principal, st.RoleSequence)
	}
	l.end(t)
	l.exact(t, urls)
	p.stop(t)
}

// TestServe_ForcedByOperator loses the principal of a pair without a witness: calls are
// held until an operator forces service; the old principal returns SUSPENDED, and is
// a mirror again after a resume.
func TestServe_ForcedByOperator(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir(), "--witness", "off")
	p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, spread)
	l := startLoad(t.Context(), p, *loadClients, urls)
	l.after(t, *loadBetween)
	p.fault(t, `{"partner":"principal","fault":"crash"}`)
	p.until(t, "held", func(st server.PairStatus) bool { return st.Principal == "" && st.Holding > 0 })
	must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"force","allow_data_loss":true}`, "Content-Type", "application/json")
	l.after(t, *loadBetween)
	p.fault(t, `{"partner":"a","fault":"none"}`)
	p.until(t, "SUSPENDED", func(st server.PairStatus) bool { return st.Partners[0].State == "SUSPENDED" })
	must(t, []int{200}, "POST", p.admin+"/v1/pair/resume", `{}`, "Content-Type", "application/json")
	p.until(t, "SYNCHRONIZED again", synchronized)
	l.after(t, *loadBetween)
	must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	l.after(t, *loadBetween)
	l.end(t)
	l.exact(t, urls)
	p.stop(t)
}

// TestServe_ForcedByWatchdog is the same with nobody at the console.
func TestServe_ForcedByWatchdog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	text := "pair: {watchdog: {enabled: true, after: 2s, allow_data_loss: true}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, t.TempDir(), "--witness", "off", "--config", path)
	p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, spread)
	l := startLoad(t.Context(), p, *loadClients, urls)
	l.after(t, *loadBetween)
	p.fault(t, `{"partner":"principal","fault":"crash"}`)
	st := p.until(t, "served by b, by force", func(st server.PairStatus) bool { return st.Principal == "b" && st.Watchdog.Forced > 0 })
	if st.Watchdog.Forced != 1 {
		t.Errorf("the watchdog says %+v", st.Watchdog)
	}
	l.after(t, *loadBetween)
	l.end(t)
	l.exact(t, urls)
	p.stop(t)
}

// TestServe_Accept parts the partners and forces service while the old principal
// lives: both claim, the newer one is served, both claims are shown, and the operator's
// word brings the calls back to the other.
func TestServe_Accept(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir(), "--witness", "off")
	p.until(t, "SYNCHRONIZED", synchronized)
	url := counters(t, p, 1)[0]
	p.fault(t, `{"partner":"a","fault":"partition"}`)
	p.until(t, "parted", func(st server.PairStatus) bool { return st.Partners[1].State == "DISCONNECTED" })
	must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"force","allow_data_loss":true}`, "Content-Type", "application/json")
	st := p.until(t, "split", func(st server.PairStatus) bool { return st.SplitBrain && len(st.Claims) == 2 })
	if st.Principal != "b" || st.Claims[1].Epoch <= st.Claims[0].Epoch {
		t.Errorf("%s is served; the claims are %+v", st.Principal, st.Claims)
	}
	if ok, err := cycle(t.Context(), url); !ok {
		t.Errorf("on b: %v", err)
	}

	var out, errs strings.Builder
	if code := run(t.Context(), []string{"pair", "accept", "a", "--reason", "b has nothing worth keeping", "--admin", p.admin}, &out, &errs); code != exitDone {
		t.Fatalf("pair accept: exit %d, %s", code, errs.String())
	}
	for _, want := range []string{"principal a", "SPLIT BRAIN", "a (MIRRORSTATE\\A) claims epoch", "faults on a: partition"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("pair accept prints\n%swant %q in it", out.String(), want)
		}
	}
	if after := p.state(t); after.Principal != "a" || after.Epoch <= st.Epoch {
		t.Errorf("%s is served with epoch %d, after epoch %d", after.Principal, after.Epoch, st.Epoch)
	}
	if _, body := must(t, []int{200}, "GET", url, ""); body != "0" {
		t.Errorf("a holds %s, want what it had before the parting", body)
	}
	if !strings.Contains(p.stderr.String(), "b has nothing worth keeping") {
		t.Error("the operator's reason is not in the log")
	}
	p.stop(t)
}

// TestServe_RefusesExposed: with pair.exposed: refuse nothing is acknowledged that one server
// alone has. Writes are held while the mirror is away, reads are not.
func TestServe_RefusesExposed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	// The window is so long that the mirror comes back within it on a busy machine, too.
	if err := os.WriteFile(path, []byte("pair: {exposed: refuse, hold: {window: 10s}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, t.TempDir(), "--config", path)
	p.until(t, "SYNCHRONIZED", synchronized)
	url := counters(t, p, 1)[0]
	p.fault(t, `{"partner":"mirror","fault":"crash"}`)
	p.until(t, "exposed", func(st server.PairStatus) bool { return st.Exposed })
	if _, text := must(t, []int{503}, "PUT", url, "1"); !strings.Contains(text, `"outcome":"not-applied"`) || !strings.Contains(text, "no-principal") {
		t.Errorf("a write beside a lost mirror, with the window over: %s", text)
	}
	if _, text := must(t, []int{200}, "GET", url, ""); text != "0" {
		t.Errorf("the session holds %q, want what it was made with", text)
	}
	stored := make(chan error, 1)
	go func() {
		status, _, text, err := request(t.Context(), "PUT", url, "2")
		if err == nil && status != 204 {
			err = fmt.Errorf("%d %s", status, text)
		}
		stored <- err
	}()
	p.until(t, "held", func(st server.PairStatus) bool { return st.Holding == 1 && st.Principal == "a" })
	p.healed(t, "b")
	if err := <-stored; err != nil {
		t.Errorf("the write that was held: %v", err)
	}
	if _, text := must(t, []int{200}, "GET", url, ""); text != "2" {
		t.Errorf("the session holds %q, want 2", text)
	}
	p.stop(t)
}
