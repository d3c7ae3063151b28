package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// actions is a pair that checks the verbs which the operators' listener calls.
type actions struct{ refuse bool }

func (actions) Status() any           { return map[string]string{"principal": "b"} }
func (actions) Ready() (bool, string) { return true, "" }
func (a actions) answer() error {
	if a.refuse {
		return a
	}
	return nil
}
func (actions) Error() string { return "refused" }
func (actions) Refusal() (int32, string, string) {
	return 1422, "it is not caught up", "wait"
}
func (a actions) Failover(context.Context) error { return a.answer() }
func (a actions) Accept(_ context.Context, partner, reason string) error {
	if partner != "b" || reason != "a is gone" {
		return fmt.Errorf("asked to accept %s because %s", partner, reason)
	}
	return a.answer()
}
func (a actions) Fault(_ context.Context, partner string, f proxy.Fault) error {
	want := proxy.Fault{Kind: "slow", Delay: 1500 * time.Microsecond, Jitter: time.Millisecond, App: "shop"}
	if partner != "mirror" || f != want {
		return fmt.Errorf("asked to do %+v to %s", f, partner)
	}
	return a.answer()
}
func (a actions) ForceService(context.Context, bool) error { return a.answer() }
func (a actions) Suspend(context.Context) error            { return a.answer() }
func (a actions) Resume(context.Context) error             { return a.answer() }
func (a actions) Sweep(context.Context) error              { return a.answer() }

func TestClient_Pair(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		inner, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
		if err != nil {
			t.Fatal(err)
		}
		h, err := proxy.NewAdmin(proxy.AdminConfig{API: inner, Pair: actions{refuse}, Faults: actions{refuse}})
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, h, client.Config{})
		if state, err := c.Pair(t.Context()); err != nil || !strings.Contains(string(state), `"b"`) {
			t.Errorf("got %s, %v", state, err)
		}
		_, failover := c.Failover(t.Context())
		_, force := c.ForceService(t.Context(), true)
		_, suspend := c.Suspend(t.Context())
		_, resume := c.Resume(t.Context())
		_, sweep := c.Sweep(t.Context())
		_, accept := c.Accept(t.Context(), "b", "a is gone")
		_, fault := c.Fault(t.Context(), "mirror", client.Fault{Kind: "slow", Delay: 1500 * time.Microsecond, Jitter: time.Millisecond, App: "shop"})
		for verb, err := range map[string]error{"failover": failover, "force": force, "suspend": suspend, "resume": resume, "sweep": sweep, "accept": accept, "fault": fault} {
			e, refused := errors.AsType[*client.Error](err)
			if refused != refuse || refused && (e.Name != "failover-refused" || e.Number != 1422 || e.Advice != "wait" || !strings.Contains(e.Error(), "(1422)")) {
				t.Errorf("%s: got %v, want a refusal: %t", verb, err, refuse)
			}
		}
	}
}
