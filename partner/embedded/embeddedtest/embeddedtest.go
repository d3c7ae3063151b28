// Package embeddedtest gives tests a mirrored pair of their own, on free ports of the loopback and gone at the end of the
// test: with the schema of the application that is tested, or empty. docs/embedded.md shows a whole test.
package embeddedtest

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// stopWait is how long a pair may take to stop.
const stopWait = 20 * time.Second

// Options are those of [embedded.Open]. No Dir: a folder of the test's own.
type Options = embedded.Options

// Start starts a pair with an empty database, embedded.DatabaseName, in a folder of the test's own; partner a is the
// principal and the pair is SYNCHRONIZED. At the end of the test it is stopped, and the
// test fails if that does not go well. Close clients before: in a Cleanup registered
// after Start, or in the test itself.
func Start(t testing.TB) *embedded.Pair {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith is Start with options of one's own, such as a Schema. The folder may hold an earlier pair.
func StartWith(t testing.TB, o Options) *embedded.Pair {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	pair, err := embedded.Open(o)
	if err != nil {
		t.Fatalf("open the embedded pair: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pair.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the embedded pair ended with: %v", err)
			}
		case <-time.After(stopWait):
			t.Errorf("the embedded pair did not stop within %v", stopWait)
		}
	})
	return pair
}
