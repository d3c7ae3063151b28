package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// actions is a pair whose verbs the operators' listener calls.
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
func (a actions) Failover(context.Context) error           { return a.answer() }
func (a actions) ForceService(context.Context, bool) error { return a.answer() }
func (a actions) Suspend(context.Context) error            { return a.answer() }
func (a actions) Resume(context.Context) error             { return a.answer() }

func TestClient_Pair(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		inner, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
		if err != nil {
			t.Fatal(err)
		}
		h, err := proxy.NewAdmin(proxy.AdminConfig{API: inner, Pair: actions{refuse}})
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
		for verb, err := range map[string]error{"failover": failover, "force": force, "suspend": suspend, "resume": resume} {
			e, refused := errors.AsType[*client.Error](err)
			if refused != refuse || refused && (e.Name != "failover-refused" || e.Number != 1422 || e.Advice != "wait" || !strings.Contains(e.Error(), "(1422)")) {
				t.Errorf("%s: got %v, want a refusal: %t", verb, err, refuse)
			}
		}
	}
}
