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

// faultSessions is the number of sessions that the clients share while a partner is broken. It is larger than the
// number of clients: several clients on one session could use up its ring of four operations while the outcome of a
// fifth is unknown, which is a correct 504.
const faultSessions = 24

// between is the interval at which a test polls.
const between = 20 * time.Millisecond

// state returns the pair's status.
func (p *program) state(t *testing.T) server.PairStatus {
	t.Helper()
	_, text := must(t, []int{200}, "GET", p.admin+"/v1/pair", "", p.auth...)
	var st server.PairStatus
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits until the pair's status satisfies is; what describes it.
func (p *program) until(t *testing.T, what string, is func(server.PairStatus) bool) server.PairStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
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

// synchronized reports whether there is a principal and its mirror is synchronized.
func synchronized(st server.PairStatus) bool {
	return st.Principal != "" && !st.Exposed && st.Partners[0].State == "SYNCHRONIZED" && st.Partners[1].State == "SYNCHRONIZED"
}

// fault injects a fault into a partner.
func (p *program) fault(t *testing.T, body string) {
	t.Helper()
	must(t, []int{200}, "POST", p.admin+"/v1/pair/fault", body, append([]string{"Content-Type", "application/json"}, p.auth...)...)
}

// heal removes the faults of a partner and waits until the pair is synchronized.
func (p *program) heal(t *testing.T, partner string) {
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
	case <-time.After(waitLimit):
		t.Error("the stream of events does not start")
	}
	return func() string {
		cancel()
		<-done
		return strings.Join(seen, ", ")
	}
}

// TestServe_AutomaticFailover breaks the principal under load, once by each fault. The mirror becomes principal with
// the witness's vote, no request fails, and every counter is exact. The old principal returns as mirror, and becomes
// principal again by a planned failover.
func TestServe_AutomaticFailover(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"crash", "stop", "freeze", "isolate"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // it mostly waits
			p := startServe(t, t.TempDir(), "--partner-timeout", "5s")
			p.until(t, "SYNCHRONIZED", synchronized)
			urls := counters(t, p, faultSessions)
			kinds := p.watch(t)
			l := startLoad(t.Context(), p, *loadClients, urls)
			l.after(t, *loadBetween)
			p.fault(t, `{"partner":"principal","fault":"`+kind+`"}`)
			p.until(t, "served by b", func(st server.PairStatus) bool { return st.Principal == "b" })
			l.after(t, *loadBetween)
			p.heal(t, "a")
			l.after(t, *loadBetween)
			must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
			l.after(t, *loadBetween)
			l.end(t)
			l.checkCounters(t, urls)
			if seen := kinds(); !strings.Contains(seen, "fault a") || !strings.Contains(seen, "principal b") || !strings.Contains(seen, "principal a") {
				t.Errorf("got events %s", seen)
			}
			p.stop(t)
		})
	}
}

// TestServe_NoFailoverNeeded injects faults that are no reason for a failover: the roles stay, and no request fails.
func TestServe_NoFailoverNeeded(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir())
	began := p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, faultSessions)
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
		p.heal(t, "a")
	}
	if st := p.state(t); st.Principal != "a" || st.RoleSequence != began.RoleSequence {
		t.Errorf("%s is principal, role sequence %d: there was a failover", st.Principal, st.RoleSequence)
	}
	l.end(t)
	l.checkCounters(t, urls)
	p.stop(t)
}

// TestServe_ForcedByOperator crashes the principal of a pair without a witness. Calls are held until an operator forces
// service. The old principal returns SUSPENDED, and is a mirror again after a resume.
func TestServe_ForcedByOperator(t *testing.T) {
	t.Parallel()
	p := startServe(t, t.TempDir(), "--witness", "off")
	p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, faultSessions)
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
	l.checkCounters(t, urls)
	p.stop(t)
}

// TestServe_ForcedByWatchdog does the same, but the watchdog forces service.
func TestServe_ForcedByWatchdog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	text := "pair: {watchdog: {enabled: true, after: 2s, allow_data_loss: true}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, t.TempDir(), "--witness", "off", "--config", path)
	p.until(t, "SYNCHRONIZED", synchronized)
	urls := counters(t, p, faultSessions)
	l := startLoad(t.Context(), p, *loadClients, urls)
	l.after(t, *loadBetween)
	p.fault(t, `{"partner":"principal","fault":"crash"}`)
	st := p.until(t, "served by b, by force", func(st server.PairStatus) bool { return st.Principal == "b" && st.Watchdog.Forced > 0 })
	if st.Watchdog.Forced != 1 {
		t.Errorf("got watchdog status %+v", st.Watchdog)
	}
	l.after(t, *loadBetween)
	l.end(t)
	l.checkCounters(t, urls)
	p.stop(t)
}

// TestServe_Accept cuts the connection between the partners and forces service while the old principal is up. Both
// claim to be principal, the newer one is used, and both claims are shown. After pair accept the calls go to the other
// partner.
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
		t.Errorf("%s is the principal in use; the claims are %+v", st.Principal, st.Claims)
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
		t.Errorf("%s is the principal in use, epoch %d, after epoch %d", after.Principal, after.Epoch, st.Epoch)
	}
	if _, body := must(t, []int{200}, "GET", url, ""); body != "0" {
		t.Errorf("the session on a holds %s, want its item from before the cut", body)
	}
	if !strings.Contains(p.stderr.String(), "b has nothing worth keeping") {
		t.Error("the operator's reason is not in the log")
	}
	p.stop(t)
}

// TestServe_ExposedRefuse: with pair.exposed: refuse no write is acknowledged that only one server has. While the
// mirror is down, writes are held and reads are answered.
func TestServe_ExposedRefuse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	// The hold window is long, so that the mirror returns within it even on a busy machine.
	if err := os.WriteFile(path, []byte("pair: {exposed: refuse, hold: {window: 10s}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, t.TempDir(), "--config", path)
	p.until(t, "SYNCHRONIZED", synchronized)
	url := counters(t, p, 1)[0]
	p.fault(t, `{"partner":"mirror","fault":"crash"}`)
	p.until(t, "exposed", func(st server.PairStatus) bool { return st.Exposed })
	if _, text := must(t, []int{503}, "PUT", url, "1"); !strings.Contains(text, `"outcome":"not-applied"`) || !strings.Contains(text, "no-principal") {
		t.Errorf("a write without a mirror, after the hold window: %s", text)
	}
	if _, text := must(t, []int{200}, "GET", url, ""); text != "0" {
		t.Errorf("the session holds %q, want its first item", text)
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
	p.heal(t, "b")
	if err := <-stored; err != nil {
		t.Errorf("the held write: %v", err)
	}
	if _, text := must(t, []int{200}, "GET", url, ""); text != "2" {
		t.Errorf("the session holds %q, want 2", text)
	}
	p.stop(t)
}
