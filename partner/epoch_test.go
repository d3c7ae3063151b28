package partner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// A pair with Observe shows the principal, also right after a failover, and takes no epoch.
func TestObserve_TakesNoEpoch(t *testing.T) {
	for _, observe := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			f.extended, f.epoch, f.server = true, 4, ""
			p := f.startServing(func(c *Config) { c.Observe = observe })
			if st := p.Status(); st.Principal != choose.A || st.Schema != "extended" {
				t.Errorf("observe %v: principal %q, schema %s", observe, st.Principal, st.Schema)
			}
			f.failOver()
			time.Sleep(5 * time.Second) // until both were probed again
			if st := p.Status(); st.Principal != choose.B {
				t.Errorf("observe %v: principal %q after the failover, want b", observe, st.Principal)
			}
			epoch, _ := f.row()
			if took := epoch != 4 || len(f.seen(choose.A).takes)+len(f.seen(choose.B).takes) > 0; took == observe {
				t.Errorf("observe %v: epoch %d, taken: %v", observe, epoch, took)
			}
		})
	}
}

// The principal is the same, but its epoch has changed. The database refuses calls with the old epoch.
func TestDo_UsesTheEpochThatAnotherProxyTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 4, "SQLA"
		p := f.startServing()
		f.set(func(_, _ *fakeServer) { f.epoch, f.server = 5, "sql-a.example" })
		time.Sleep(2 * time.Second) // until both were probed again
		err := p.Do(t.Context(), Call{}, func(_ context.Context, a *Attempt) error {
			if a.Partner != choose.A || a.Epoch != 5 {
				t.Errorf("sent to %s with epoch %d, want a and 5", a.Partner, a.Epoch)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
