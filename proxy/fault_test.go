package proxy_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// breakable records the faults that it gets.
type breakable struct {
	err error

	mu   sync.Mutex
	done []string // owned by mu
}

func (b *breakable) Fault(_ context.Context, partner string, f proxy.Fault) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = append(b.done, fmt.Sprintf("%s %s %v %v %q", partner, f.Kind, f.Delay, f.Jitter, f.App))
	return b.err
}

// last returns the faults since the last call.
func (b *breakable) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := strings.Join(b.done, "; ")
	b.done = nil
	return done
}

// administerWith starts the operators' listener of cfg, whose API and pair it fills in.
func administerWith(t *testing.T, p *pair, cfg proxy.AdminConfig) *server {
	t.Helper()
	inner := serve(t, proxy.Config{})
	cfg.API, cfg.Pair = inner.api, p
	h, err := proxy.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, inner.api, h)
}

func TestAdmin_Fault(t *testing.T) {
	b := &breakable{}
	s := administerWith(t, &pair{}, proxy.AdminConfig{Faults: b})
	const path = "/v1/pair/fault"
	for _, partner := range []string{"a", "b", "principal", "mirror"} {
		for _, kind := range []string{"crash", "stop", "start", "freeze", "sever", "partition", "isolate", "none"} {
			r := s.want(200, "POST", path, `{"partner":"`+partner+`","fault":"`+kind+`"}`, "Content-Type", "application/json")
			if !strings.Contains(string(r.body), `"principal": "a"`) {
				t.Errorf("%s answers %s, want the pair's state", kind, r.body)
			}
			if got, want := b.last(), partner+" "+kind+` 0s 0s ""`; got != want {
				t.Errorf("did %s, want %s", got, want)
			}
		}
	}
	s.want(200, "POST", path, `{"partner":"a","fault":"slow","delay_ms":12.5,"jitter_ms":3}`, "Content-Type", "application/json")
	if got, want := b.last(), `a slow 12.5ms 3ms ""`; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
	s.want(200, "POST", path, `{"partner":"mirror","fault":"freeze","app":"shop"}`, "Content-Type", "application/json")
	if got, want := b.last(), `mirror freeze 0s 0s "shop"`; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
	b.err = fmt.Errorf("crash: %w", refusal(1422))
	s.wantProblem(409, "failover-refused", "POST", path, `{"partner":"a","fault":"crash"}`, "Content-Type", "application/json")
}

func TestAdmin_FaultBadRequests(t *testing.T) {
	b := &breakable{}
	s := administerWith(t, &pair{}, proxy.AdminConfig{Faults: b})
	for body, says := range map[string]string{
		`{"fault":"crash"}`:                                 "a, b, principal, mirror",
		`{"partner":"c","fault":"crash"}`:                   "a, b, principal, mirror",
		`{"partner":"a"}`:                                   "crash, stop, start, freeze, sever, partition, isolate, slow, none",
		`{"partner":"a","fault":"burn"}`:                    "crash, stop, start, freeze, sever, partition, isolate, slow, none",
		`{"partner":"a","fault":"slow"}`:                    "delay_ms",
		`{"partner":"a","fault":"slow","delay_ms":-1}`:      "delay_ms must be between 0 and 60000",
		`{"partner":"a","fault":"slow","jitter_ms":60001}`:  "jitter_ms must be between 0 and 60000",
		`{"partner":"a","fault":"freeze","delay_ms":5}`:     "slow only",
		`{"partner":"a","fault":"crash","delay":5}`:         "unknown field",
		`{"partner":"a","fault":"crash","app":"shop"}`:      "member app",
		`{"partner":"a","fault":"slow","delay_ms":"quick"}`: "delay_ms",
		``: "partner",
	} {
		_, d := s.wantProblem(400, "bad-request", "POST", "/v1/pair/fault", body, "Content-Type", "application/json")
		if !strings.Contains(d.Detail, says) {
			t.Errorf("%s: got the detail %q, want %q in it", body, d.Detail, says)
		}
	}
	s.wantProblem(415, "unsupported-media-type", "POST", "/v1/pair/fault", `{"partner":"a","fault":"crash"}`, "Content-Type", "text/plain")
	s.wantProblem(403, "forbidden", "POST", "/v1/pair/fault", `{"partner":"a","fault":"crash"}`, "Content-Type", "application/json", "Origin", "http://evil.example")
	if did := b.last(); did != "" {
		t.Errorf("bad requests did %s", did)
	}
}

// Faults of servers that are not embedded are refused.
func TestAdmin_FaultOfOtherServers(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	_, d := s.wantProblem(409, "failover-refused", "POST", "/v1/pair/fault", `{"partner":"a","fault":"crash"}`, "Content-Type", "application/json")
	if !strings.Contains(d.Detail, "not embedded") {
		t.Errorf("got the detail %q", d.Detail)
	}
}

func TestAdmin_Accept(t *testing.T) {
	p := &pair{}
	s := administer(t, p, proxy.Config{})
	const path = "/v1/pair/accept"
	s.want(200, "POST", path, `{"partner":"b","reason":" a burnt down "}`, "Content-Type", "application/json")
	if got, want := p.verbs(), "accept b because a burnt down"; got != want {
		t.Errorf("did %q, want %q", got, want)
	}
	for _, body := range []string{``, `{}`, `{"partner":"b"}`, `{"partner":"b","reason":" "}`, `{"partner":"principal","reason":"x"}`,
		`{"partner":"b","reason":"` + strings.Repeat("x", 501) + `"}`} {
		s.wantProblem(400, "bad-request", "POST", path, body, "Content-Type", "application/json")
	}
	if got := p.verbs(); got != "" {
		t.Errorf("bad requests did %q", got)
	}
	p.err = refusal(1422)
	s.wantProblem(409, "failover-refused", "POST", path, `{"partner":"b","reason":"x"}`, "Content-Type", "application/json")
}

// The longest jitter is one minute.
func TestAdmin_FaultLimits(t *testing.T) {
	b := &breakable{}
	s := administerWith(t, &pair{}, proxy.AdminConfig{Faults: b})
	s.want(200, "POST", "/v1/pair/fault", `{"partner":"a","fault":"slow","jitter_ms":60000}`, "Content-Type", "application/json")
	if got, want := b.last(), fmt.Sprintf(`a slow 0s %v ""`, time.Minute); got != want {
		t.Errorf("did %s, want %s", got, want)
	}
}
