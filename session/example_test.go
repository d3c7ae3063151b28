package session_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// A client's id is checked before it is used.
func ExampleParseID() {
	for _, text := range []string{"4vzjds1jh0n3y20mnr0eb33z", "with a space", ""} {
		id, err := session.ParseID(text)
		var invalid *session.InvalidError
		fmt.Printf("%q, invalid: %t\n", id, errors.As(err, &invalid))
	}
	fmt.Println(len(session.NewID()), "characters in a new one")
	// Output:
	// "4vzjds1jh0n3y20mnr0eb33z", invalid: false
	// "", invalid: true
	// "", invalid: true
	// 24 characters in a new one
}

// One visit: lock and read, store and release. Meanwhile a second caller is refused.
func ExampleStore() {
	ctx := context.Background()
	var store session.Store = memory.New(nil)
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	ref := session.Ref{App: &app, ID: session.NewID()}
	if _, err := store.Put(ctx, ref, session.Write{Item: []byte("one")}, session.Condition{}, session.NewOperation()); err != nil {
		log.Fatal(err)
	}

	s, lock, err := store.Acquire(ctx, ref, session.NewOperation())
	if err != nil {
		log.Fatal(err)
	}
	var locked *session.LockedError
	_, _, err = store.Acquire(ctx, ref, session.NewOperation())
	fmt.Println("a second caller is refused:", errors.As(err, &locked))

	// The same operation may be sent again: it takes effect once.
	op := session.NewOperation()
	next := session.Write{Item: append(s.Item, ", two"...)}
	for range 2 {
		if _, err := store.Update(ctx, ref, lock, next, false, op); err != nil {
			log.Fatal(err)
		}
	}
	s, err = store.Get(ctx, ref, session.GetOptions{})
	fmt.Printf("%s, %v\n", s.Item, err)
	// Output:
	// a second caller is refused: true
	// one, two, <nil>
}

// OutcomeOf says whether a call that failed was applied.
func ExampleOutcomeOf() {
	for _, err := range []error{session.ErrNotFound, session.ErrNoPrincipal, session.ErrOutcomeUnknown} {
		fmt.Println(session.OutcomeOf(fmt.Errorf("store the basket: %w", err)))
	}
	// Output:
	// not-applied
	// not-applied
	// unknown
}
