package partner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestDo_UnderTheEpochThatAnotherProxyTook: the principal is the same, its epoch is not. The
// database does nothing for a call with the old one.
func TestDo_UnderTheEpochThatAnotherProxyTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 4, "SQLA"
		p := f.startServing()
		f.set(func(_, _ *fakeServer) { f.epoch, f.server = 5, "sql-a.example" })
		time.Sleep(2 * time.Second) // until the monitor has asked again
		err := p.Do(t.Context(), Call{}, func(_ context.Context, a *Attempt) error {
			if a.Partner != A || a.Epoch != 5 {
				t.Errorf("sent to %s with epoch %d, want a and 5", a.Partner, a.Epoch)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
