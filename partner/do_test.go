package partner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

func TestDo_HealthyPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 7, "SQLA"
		p := f.startServing()
		p.members[0].clock.Store(&clockReading{at: time.Now(), offset: time.Hour})
		now := time.Now()
		var got Attempt
		err := p.Do(t.Context(), Call{}, func(ctx context.Context, a *Attempt) error {
			got = *a
			return nil
		})
		want := Attempt{Partner: choose.A, Epoch: 7, Extended: true, Number: 1,
			Sent: now.Add(time.Hour).UTC(), FirstSent: now.Add(time.Hour).UTC(), NotAfter: now.Add(time.Hour + 5*time.Second - 5*time.Second/clockDrift).UTC()}
		got.pair, got.term = nil, nil
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		if n := f.seen(choose.A).pools[0].out; n != 0 {
			t.Errorf("%d connections are still checked out", n)
		}
	})
}

func TestDo_NotAfterIsTheCallersEarlierDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		p.members[0].clock.Store(new(clockReading))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		end, _ := ctx.Deadline()
		err := p.Do(ctx, Call{}, func(_ context.Context, a *Attempt) error {
			if !a.NotAfter.Equal(end) {
				t.Errorf("not after %s, want %s", a.NotAfter, end)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// No packet says that the old principal is lost. Only the new role of the other partner does.
func TestDo_RepeatsACallThatHangsOnTheOldPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		f.extended, f.epoch, f.server = true, 3, "SQLA"
		p := f.startServing()
		began := time.Now()
		var cause error
		first := time.Time{}
		err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
			switch a.Number {
			case 1:
				first = a.FirstSent
				f.set(func(a, _ *fakeServer) { a.frozen = true })
				f.set(func(_, b *fakeServer) { b.role, b.sequence = choose.RolePrincipal, 2 })
				<-ctx.Done()
				cause = context.Cause(ctx)
				return ctx.Err()
			default:
				if a.Partner != choose.B || !a.Resent || a.Epoch != 4 || !a.FirstSent.Equal(first) {
					t.Errorf("second attempt: %+v", *a)
				}
				return nil
			}
		})
		if err != nil || !errors.Is(cause, link.ErrTermOver) {
			t.Errorf("got %v, first attempt ended by %v", err, cause)
		}
		if d := time.Since(began); d > time.Second+50*time.Millisecond {
			t.Errorf("took %s, want one pause of the monitor at most", d)
		}
		if f.seen(choose.A).pools[0].aborted == nil {
			t.Error("the connections to the old principal are still open")
		}
		if s := f.seen(choose.B).takes; len(s) != 1 || s[0] != "SQLB" {
			t.Errorf("epochs taken by %v, want SQLB once", s)
		}
		if b := p.members[0].breaker.stateName(); b != "closed" {
			t.Errorf("connections that we closed opened the breaker: %s", b)
		}
	})
}

func TestDo_FailoverTakesMilliseconds(t *testing.T) {
	for _, answer := range []error{sqlErr(14, 4063), sqlErr(14, 954), classify.ErrMoved, io.EOF, sqlErr(21, 596)} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			time.Sleep(2500 * time.Millisecond) // the probes are slow again, and none is due
			began := time.Now()
			attempts := 0
			err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
				attempts++
				if a.Partner == choose.A {
					f.failOver()
					return fmt.Errorf("op: %w", answer)
				}
				if want := classify.Classify(answer, classify.Executing) == classify.Ambiguous; a.Resent != want || a.Sent.Equal(a.FirstSent) == want {
					t.Errorf("%v: %+v, want Resent %v and the time of the first attempt", answer, *a, want)
				}
				return nil
			})
			if err != nil || attempts != 2 || time.Since(began) > 5*time.Millisecond {
				t.Errorf("%v: %d attempts in %s, then %v", answer, attempts, time.Since(began), err)
			}
		})
	}
}

func TestDo_HoldsCallsWhileThereIsNoPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		const calls, gap = 200, 12 * time.Second
		f.set(func(a, _ *fakeServer) { a.down, a.openErr = true, errors.New("connection refused") })
		results := make(chan error, calls)
		for range calls {
			go func() {
				results <- p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
					time.Sleep(time.Millisecond)
					return nil
				})
			}()
		}
		time.Sleep(gap)
		synctest.Wait()
		if s := p.Status(); s.Holding != calls || s.Principal != "" || len(results) != 0 {
			t.Fatalf("without a principal: holding %d, principal %q, %d calls ended", s.Holding, s.Principal, len(results))
		}
		f.set(func(_, b *fakeServer) { b.role, b.sequence = choose.RolePrincipal, 2 })
		served := time.Now()
		for range calls {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(served); d > 100*time.Millisecond {
			t.Errorf("the last call ended %s after a partner served", d)
		}
		if s := p.hold.Stats(); s.Drained < calls || s.Held != 0 {
			t.Errorf("counters: %+v", s)
		}
	})
}

func TestDo_EndsWithTheWindow(t *testing.T) {
	tests := []struct {
		name    string
		call    Call
		answer  error
		want    error
		outcome Outcome
	}{
		{"nothing was sent", Call{Write: true}, sqlErr(14, 4063), NoPrincipal, NotApplied},
		{"a write was sent", Call{Write: true}, io.EOF, OutcomeUnknown, Unknown},
		{"a read was sent", Call{}, io.EOF, NoPrincipal, NotApplied},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			began := time.Now()
			err := p.Do(t.Context(), tt.call, func(context.Context, *Attempt) error {
				f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
				return tt.answer
			})
			if !errors.Is(err, tt.want) || OutcomeOf(err) != tt.outcome {
				t.Errorf("%s: got %v, %s", tt.name, err, OutcomeOf(err))
			}
			if e, ok := errors.AsType[*CallError](err); !ok || e.Cause == nil || e.Cause.Error() != tt.answer.Error() {
				t.Errorf("%s: the error of the last attempt is missing: %v", tt.name, err)
			}
			if d := time.Since(began); d != 30*time.Second {
				t.Errorf("%s: ended after %s, want the window", tt.name, d)
			}
			if p.Ready() {
				t.Errorf("%s: Ready is still true", tt.name)
			}
		})
	}
}

func TestDo_EndsWithItsContext(t *testing.T) {
	left := errors.New("client closed request")
	tests := []struct {
		name    string
		write   bool
		leave   bool // cancelled, rather than after its deadline
		held    bool // waiting in the hold, rather than executing
		want    error
		outcome Outcome
	}{
		{"deadline while held", true, false, true, NoPrincipal, NotApplied},
		{"deadline of a write", true, false, false, OutcomeUnknown, Unknown},
		{"deadline of a read", false, false, false, NoPrincipal, NotApplied},
		{"cancelled while held", true, true, true, left, NotApplied},
		{"cancelled write", true, true, false, left, Unknown},
		{"cancelled read", false, true, false, left, NotApplied},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePair(t)
			p := f.startServing()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tt.leave {
				time.AfterFunc(3*time.Second, func() { cancel(left) })
			} else {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, 3*time.Second)
				defer stop()
			}
			if tt.held {
				f.set(func(a, b *fakeServer) { a.down, b.down = true, true })
				time.Sleep(2 * time.Second) // until a probe has noticed
			}
			err := p.Do(ctx, Call{Write: tt.write}, func(ctx context.Context, _ *Attempt) error {
				<-ctx.Done()
				return ctx.Err()
			})
			if !errors.Is(err, tt.want) || OutcomeOf(err) != tt.outcome {
				t.Errorf("%s: got %v, %s", tt.name, err, OutcomeOf(err))
			}
			if !tt.held && (p.hold.Holding() || p.members[0].breaker.stateName() != "closed") {
				t.Errorf("%s: the end of the caller's context was counted against the partner", tt.name)
			}
		})
	}
}

// A call that is cancelled while it waits for a connection was never sent.
func TestDo_CancelledInTheQueue(t *testing.T) {
	left := errors.New("client closed request")
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.MaxConns = 1 })
		f.set(func(a, _ *fakeServer) { a.slots = make(chan struct{}, 1) })
		block, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error { <-block; return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(left) })
		err := p.Do(ctx, Call{Write: true}, func(context.Context, *Attempt) error { t.Error("the call was sent"); return nil })
		if !errors.Is(err, left) || OutcomeOf(err) != NotApplied {
			t.Errorf("got %v, %s", err, OutcomeOf(err))
		}
		if p.members[0].breaker.stateName() != "closed" {
			t.Error("the end of the caller's context was counted against the partner")
		}
		close(block)
		if err := <-ended; err != nil {
			t.Errorf("the first call: %v", err)
		}
	})
}

func TestDo_RepeatsAnAttemptThatTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		began := time.Now()
		err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
			if a.Number == 1 {
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), link.ErrAttemptTimeout) {
					t.Errorf("ended by %v", context.Cause(ctx))
				}
				return ctx.Err()
			}
			if a.Partner != choose.A || !a.Resent {
				t.Errorf("second attempt: %+v", *a)
			}
			return nil
		})
		if d := time.Since(began); err != nil || d < 5*time.Second || d > 5*time.Second+5*time.Millisecond {
			t.Errorf("got %v after %s", err, d)
		}
		if n := f.seen(choose.A).pools[0]; n.idleClosed != 0 || n.broken != 0 {
			t.Errorf("no answer is no broken connection: idle connections closed %d times, %d connections discarded", n.idleClosed, n.broken)
		}
	})
}

func TestDo_RetriesADeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).startServing()
		n := 0
		err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if n++; n < 4 {
				return sqlErr(13, 1205)
			}
			if a.Resent || a.Number != 4 {
				t.Errorf("attempt: %+v", *a)
			}
			return nil
		})
		if err != nil || n != 4 {
			t.Errorf("%d attempts, %v", n, err)
		}
		n = 0
		deadlock := sqlErr(13, 1205)
		err = p.Do(t.Context(), Call{Write: true}, func(context.Context, *Attempt) error {
			n++
			return deadlock
		})
		if n != retryLimit+1 || !errors.As(err, new(interface{ SQLErrorNumber() int32 })) || OutcomeOf(err) != NotApplied {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

func TestDo_ReturnsAPermanentErrorUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).startServing()
		own := errors.New("session not found")
		n := 0
		if err := p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error { n++; return own }); err != own || n != 1 {
			t.Errorf("got %v after %d attempts", err, n)
		}
		// An error of the server in the second attempt says nothing about the first.
		err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if a.Number == 1 {
				return io.EOF
			}
			return sqlErr(14, 229)
		})
		if !errors.Is(err, OutcomeUnknown) || OutcomeOf(err) != Unknown {
			t.Errorf("refused after an attempt without an answer: %v", err)
		}
		// An error of the op does, because the op knows that the call was sent again.
		err = p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if a.Number == 1 {
				return io.EOF
			}
			return own
		})
		if err != own {
			t.Errorf("answered after an attempt without an answer: %v", err)
		}
	})
}

func TestDo_OneBrokenConnectionIsNotAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		began := time.Now()
		err := p.Do(t.Context(), Call{}, func(_ context.Context, a *Attempt) error {
			if a.Number == 1 {
				return io.EOF
			}
			return nil
		})
		if err != nil || time.Since(began) > 2*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		pools := f.seen(choose.A).pools
		if len(pools) != 1 || pools[0].aborted != nil || pools[0].idleClosed != 1 {
			t.Errorf("%d pools, the first closed by %v, idle connections closed %d times; want 1, nil, 1", len(pools), pools[0].aborted, pools[0].idleClosed)
		}
		if n := f.seen(choose.A).dials; n != 2 {
			t.Errorf("%d dials by probes; want 2, because a new connection must be tried", n)
		}
	})
}

// A call that is refused again and again although every probe succeeds must not retry without a pause.
func TestDo_BacksOffIfProbesSucceedAndCallsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		n := 0
		err := p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error {
			n++
			return classify.ErrMoved
		})
		if !errors.Is(err, NoPrincipal) || n > 500 {
			t.Errorf("%d attempts in the window, then %v", n, err)
		}
	})
}

func TestDo_HoldFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).newPair(func(c *Config) { c.Hold.Size = 1 })
		go func() { _ = p.Do(t.Context(), Call{}, nil) }()
		synctest.Wait()
		err := p.Do(t.Context(), Call{}, nil)
		if !errors.Is(err, hold.ErrFull) || OutcomeOf(err) != NotApplied {
			t.Errorf("got %v", err)
		}
		p.hold.Close()
	})
}

// A principal that hangs fills its pool. As many calls may wait for a connection then as the hold allows, and
// as many again that hold a lock.
func TestDo_RefusesCallsIfTooManyWaitForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing(func(c *Config) { c.Hold.Size, c.Hold.Bytes, c.MaxConns = 2, 100, 1 })
		f.set(func(a, _ *fakeServer) { a.busy = true })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		wait := func(c Call) { wg.Go(func() { _ = p.Do(ctx, c, nil) }); synctest.Wait() }
		wait(Call{Bytes: 100}) // has the connection, or will get it
		wait(Call{Bytes: 60})
		if err := p.Do(ctx, Call{Bytes: 60}, nil); !errors.Is(err, hold.ErrFull) || OutcomeOf(err) != NotApplied {
			t.Errorf("more bytes than the hold allows: %v", err)
		}
		wait(Call{Bytes: 10})
		if err := p.Do(ctx, Call{}, nil); !errors.Is(err, hold.ErrFull) {
			t.Errorf("more calls than the hold allows: %v", err)
		}
		wait(Call{HoldsLock: true})
		if n := p.queued.Load(); n != 4 {
			t.Errorf("%d wait, want 4: a call that holds a lock has a place of its own", n)
		}
		cancel()
		wg.Wait()
		n := p.queued.Load()
		wanted, size, _ := p.queue.Size()
		if n != 0 || wanted != 0 || size != (fairshare.Size{}) {
			t.Errorf("still counted: %d wait, %d want a connection, %+v in the queue", n, wanted, size)
		}
	})
}

// A call may have been executed on a partner whose clock is behind, and dated by that clock. When the call is
// sent to the other partner, FirstSent must not be later than that date.
func TestDo_FirstSentIsTheEarlierOfBothClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		const behind = 3 * time.Second
		f.set(func(a, _ *fakeServer) { a.clock = -behind })
		p := f.startServing()
		began := time.Now()
		err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
			if a.Number == 1 {
				f.failOver()
				return io.EOF
			}
			if first := began.Add(-behind); a.Partner != choose.B || !a.Resent || a.FirstSent.After(first) || a.FirstSent.Before(first.Add(-time.Millisecond)) {
				t.Errorf("to %s, first sent %v, want about %v", a.Partner, a.FirstSent, first)
			}
			if a.Sent.Before(began) {
				t.Errorf("sent %v, by the clock of the other partner", a.Sent)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Each observation narrows the range of the clock's offset, and the range grows with time. An observation that
// contradicts the others means that the clock was set.
func TestMember_AddClockReading(t *testing.T) {
	const ms = time.Millisecond
	m := newMember(link.PartnerConfig{Name: choose.A}, nil, func(choose.Name, string, string) {})
	now := time.Now()
	for _, step := range []struct {
		after               time.Duration
		clock, within       time.Duration // an observation: the clock's offset, and the width of its range
		wantLeast, wantMost time.Duration
	}{
		{0, 5000 * ms, 1000 * ms, 4500 * ms, 5500 * ms},
		{0, 4600 * ms, 400 * ms, 4500 * ms, 4800 * ms},                             // the request was slow
		{0, 5000 * ms, 500 * ms, 4750 * ms, 4800 * ms},                             // the answer was slow: both observations together give a smaller range
		{0, 4775 * ms, 200 * ms, 4750 * ms, 4800 * ms},                             // narrows nothing
		{10 * time.Second, 4775 * ms, 1000 * ms, 4748 * ms, 4802 * ms},             // the clocks drift apart
		{20 * time.Second, 4760 * ms, 2 * ms, 4759 * ms, 4761 * ms},                // a precise observation
		{21 * time.Second, 5000 * ms, 1000 * ms, 4758800000, 4761200000},           // the server was frozen meanwhile
		{22 * time.Second, 4763 * ms, 6 * ms, 4760 * ms, 4761400000},               // a little less precise
		{23 * time.Second, 4766 * ms, 12 * ms, 4760 * ms, 4761600000},              // imprecise observations do not add up
		{24 * time.Second, 9000 * ms, 1000 * ms, 8500 * ms, 9500 * ms},             // the clock was set
		{24 * time.Second, -9000 * ms, 10 * ms, -9005 * ms, -8995 * ms},            // and set back
		{1000 * time.Second, 9000 * ms, 5000 * ms, 6500 * ms, 11500 * ms},          // and set again, after a long time without an answer
		{11000 * time.Second, 13000 * ms, 4000 * ms, 11 * time.Second, 13500 * ms}, // this may be the drift of that time
	} {
		m.addClockReading(choose.Observation{ClockOffset: step.clock, Latency: step.within}, now.Add(step.after))
		r := m.clock.Load()
		if least, most := r.offset-r.width/2, r.offset+r.width/2; (least-step.wantLeast).Abs() > 1 || (most-step.wantMost).Abs() > 1 {
			t.Errorf("after %v: the clock's offset is %v to %v, want %v to %v", step.after, least, most, step.wantLeast, step.wantMost)
		}
	}
}

func TestDo_ReleasesTheConnectionAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePair(t)
		p := f.startServing()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = p.Do(t.Context(), Call{}, func(context.Context, *Attempt) error { panic("bug") })
		}()
		if b := f.seen(choose.A).pools[0]; b.out != 0 || b.broken != 1 {
			t.Errorf("%d connections checked out, %d discarded", b.out, b.broken)
		}
	})
}

func TestDo_AfterRunHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFakePair(t).newPair()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		if err := p.WaitForPrincipal(ctx); err != nil {
			t.Fatal(err)
		}
		running := make(chan error)
		go func() {
			running <- p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, _ *Attempt) error {
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := <-running; !errors.Is(err, OutcomeUnknown) {
			t.Errorf("a write that was running when Run ended: %v", err)
		}
		if err := p.Do(t.Context(), Call{}, nil); !errors.Is(err, Closed) || OutcomeOf(err) != NotApplied {
			t.Errorf("a call after Run ended: %v", err)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Error("a second Run did not fail")
		}
		if err := p.WaitForPrincipal(t.Context()); !errors.Is(err, Closed) {
			t.Errorf("WaitForPrincipal after Run ended: %v", err)
		}
	})
}
