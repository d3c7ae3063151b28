package aspstate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// askedFor is a pair that records the callers of its calls, and executes none.
type askedFor struct{ callers map[string]string }

var errNotServed = errors.New("not served")

func (a *askedFor) Do(_ context.Context, c partner.Call, _ func(context.Context, *partner.Attempt) error) error {
	a.callers[c.Label] = c.Caller
	return errNotServed
}

// Every call names its caller to the pair, which shares the hold between callers.
func TestStore_TellsTheCaller(t *testing.T) {
	pair := &askedFor{callers: make(map[string]string)}
	store := aspstate.New(pair, nil)
	defer store.Close()
	ctx := &session.CallerContext{Context: t.Context(), Caller: "shop"}
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	ref, lock, op := session.Ref{App: &app, ID: "x"}, session.Lock{Cookie: 1}, session.NewOperation()
	w := session.Write{Item: []byte("x")}
	_, err1 := store.Get(ctx, ref, session.GetOptions{})
	_, _, err2 := store.Acquire(ctx, ref, op)
	_, err3 := store.Update(ctx, ref, lock, w, false, op)
	_, err4 := store.Put(ctx, ref, w, session.Condition{}, op)
	_, err5 := store.Touch(ctx, ref, session.Operation{})
	for _, err := range []error{err1, err2, err3, err4, err5, store.Release(ctx, ref, lock, op), store.GiveBack(ctx, ref, lock, op.ID), store.Remove(ctx, ref, lock, op)} {
		if !errors.Is(err, errNotServed) {
			t.Errorf("a call ended with %v", err)
		}
	}
	for _, label := range []string{"get", "acquire", "update", "put", "touch", "release", "give back", "remove"} {
		if got := pair.callers[label]; got != "shop" {
			t.Errorf("%s is for %q", label, got)
		}
	}
}
