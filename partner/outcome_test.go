package partner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// A write was sent and never answered. If it then cannot be sent again, its outcome is unknown, for whatever
// reason.
func TestDo_UnansweredWriteStaysUnknown(t *testing.T) {
	certificate := &link.LoginError{Partner: choose.B, Err: errors.New("tls: failed to verify certificate: x509: certificate signed by unknown authority")}
	tests := []struct {
		name   string
		login  error // error of every connection after the first attempt
		answer error // error of every attempt after the first
	}{
		{"the partner's certificate is not trusted", certificate, nil},
		{"the call is late again and again", nil, classify.ErrLate},
		{"no connection becomes free", classify.ErrPoolBusy, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePair(t)
				p := f.startServing()
				err := p.Do(t.Context(), Call{Write: true}, func(_ context.Context, a *Attempt) error {
					if a.Number > 1 {
						return tt.answer
					}
					f.set(func(a, b *fakeServer) { a.openErr, b.openErr = tt.login, tt.login })
					return io.EOF
				})
				if !errors.Is(err, OutcomeUnknown) || OutcomeOf(err) != Unknown {
					t.Errorf("got %v, %s; want %v", err, OutcomeOf(err), OutcomeUnknown)
				}
			})
		})
	}
}

func TestOutcomeOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want Outcome
	}{
		{"done", nil, Applied},
		{"the hold is full", &hold.FullError{Bound: "size", Limit: 1}, NotApplied},
		{"no principal", &CallError{Kind: NoPrincipal}, NotApplied},
		{"unknown, wrapped", fmt.Errorf("store: %w", &CallError{Kind: OutcomeUnknown, Result: Unknown}), Unknown},
		{"the server's refusal", sqlErr(14, 229), NotApplied},
		{"no answer", io.EOF, Unknown},
		{"the op's own answer", errors.New("not found"), NotApplied},
	}
	for _, tt := range tests {
		if got := OutcomeOf(tt.err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
