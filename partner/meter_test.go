package partner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// recordingMeter records its calls.
type recordingMeter struct {
	mu       sync.Mutex
	attempts []AttemptEnd
	holds    []HoldEnd
}

func (w *recordingMeter) Attempted(_ context.Context, a AttemptEnd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, a)
}

func (w *recordingMeter) Held(_ context.Context, h HoldEnd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds = append(w.holds, h)
}

// A call during a failover is reported as a refused attempt, a wait in the hold and a successful attempt, each
// once.
func TestMeter_Failover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFakePair(t), new(recordingMeter)
		f.extended, f.epoch, f.server = true, 3, "SQLA"
		p := f.startServing(func(c *Config) { c.Meter = w })
		err := p.Do(t.Context(), Call{Label: "get"}, func(_ context.Context, a *Attempt) error {
			if a.Partner == choose.B {
				return nil
			}
			f.failOver()
			time.Sleep(time.Millisecond)
			return fmt.Errorf("get: %w", mssql.Error{Number: 954})
		})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, a := range w.attempts {
			told = append(told, fmt.Sprintf("%s %d on %s: %s", a.Label, a.Number, a.Partner, a.Outcome()))
		}
		if want := []string{"get 1 on a: moved", "get 2 on b: done"}; !slices.Equal(told, want) {
			t.Errorf("attempts %q, want %q", told, want)
		}
		if a := w.attempts[0]; a.Ended.Sub(a.Began) != time.Millisecond || a.Epoch != 3 || w.attempts[1].Epoch != 4 {
			t.Errorf("first %+v, second %+v", a, w.attempts[1])
		}
		if len(w.holds) != 1 || w.holds[0].Outcome != hold.Drained || w.holds[0].Waited <= 0 || w.holds[0].Waited > time.Second {
			t.Errorf("holds %+v", w.holds)
		}
		s := p.Stats()
		for _, h := range []EventKey{{"principal", choose.A, ""}, {"principal", choose.B, ""}, {"role", choose.A, "principal"}, {"role", choose.A, "mirror"}, {"role", choose.B, "principal"}} {
			if s.Published[h] != 1 {
				t.Errorf("%+v was published %d times, want once: %v", h, s.Published[h], s.Published)
			}
		}
	})
}

// Each end of a wait in the hold has its outcome.
func TestMeter_HoldOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFakePair(t), new(recordingMeter)
		f.ends[0].down, f.ends[1].down = true, true
		p := f.start(func(c *Config) { c.Meter, c.Hold.Size, c.Hold.Window = w, 2, 10*time.Second })
		leaving, leave := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		for _, ctx := range []context.Context{t.Context(), leaving} {
			calls.Go(func() { _ = p.Do(ctx, Call{Label: "get"}, func(context.Context, *Attempt) error { return nil }) })
		}
		synctest.Wait()
		if err := p.Do(t.Context(), Call{Label: "get"}, nil); !errors.Is(err, hold.ErrFull) {
			t.Errorf("the third call: %v", err)
		}
		leave()
		calls.Wait()
		want := []HoldEnd{{"get", 0, hold.Rejected}, {"get", 0, hold.Left}, {"get", 10 * time.Second, hold.Expired}}
		if !slices.Equal(w.holds, want) {
			t.Errorf("got %v, want %v", w.holds, want)
		}
	})
}

func TestAttemptEnd_Outcome(t *testing.T) {
	for _, tc := range []struct {
		err   error
		class classify.Class
		want  string
	}{
		{nil, classify.Permanent, "done"},
		{errors.New("another request holds the lock"), classify.Permanent, "done"},
		{mssql.Error{Number: 229}, classify.Permanent, "permanent"},
		{&link.LoginError{Partner: choose.A, Err: errors.New("x509: unknown authority")}, classify.Permanent, "permanent"},
		{&hold.FullError{Bound: "size", Limit: 1}, classify.Permanent, "permanent"},
		{mssql.Error{Number: 1205}, classify.Again, "again"},
		{context.DeadlineExceeded, classify.Ambiguous, "ambiguous"},
		{context.Canceled, classify.CallerGone, "caller-gone"},
	} {
		got := AttemptEnd{Err: tc.err, Class: tc.class}
		if got.Outcome() != tc.want || Outcomes()[got.OutcomeIndex()] != tc.want {
			t.Errorf("%v of class %s: got %s, want %s", tc.err, tc.class, got.Outcome(), tc.want)
		}
	}
}

func TestPair_Pool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		_ = p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error {
			if s := p.Pool(); s.Partner != choose.A || s.InUse != 1 || s.Queued != 0 {
				t.Errorf("during a call: %+v", s)
			}
			return nil
		})
		if s := p.Pool(); s.InUse != 0 {
			t.Errorf("after the call: %+v", s)
		}
	})
}
