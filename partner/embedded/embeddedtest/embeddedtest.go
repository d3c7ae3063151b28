// Package embeddedtest gives tests a mirrored pair of their own: empty, on free
// ports of the loopback, and gone at the end of the test.
package embeddedtest

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// stopWait is how long a pair may take to stop.
const stopWait = 20 * time.Second

// Start starts an empty pair in a folder of the test's own; partner a is the
// principal and the pair is SYNCHRONIZED. At the end of the test it is stopped, and the
// test fails if that does not go well. Close clients before: in a Cleanup registered
// after Start, or in the test itself.
func Start(t testing.TB) *embedded.Pair {
	t.Helper()
	return StartWith(t, embedded.Options{Dir: t.TempDir()})
}

// StartWith is Start with options of one's own. The folder may hold an earlier pair.
func StartWith(t testing.TB, o embedded.Options) *embedded.Pair {
	t.Helper()
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
