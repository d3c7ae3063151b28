// Package embeddedtest gives each test its own mirrored pair on free loopback ports. The end of the test removes the
// pair. Its database has the schema of the application under test, or is empty. docs/embedded.md shows a whole test.
package embeddedtest

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// stopWait is how long a pair may take to stop.
const stopWait = 20 * time.Second

// Options are those of [embedded.Open]. If Dir is empty, the pair uses a temporary folder of the test.
type Options = embedded.Options

// Start starts a pair with an empty database, embedded.DatabaseName, in a temporary folder of the test. Partner a is
// the principal and the pair is SYNCHRONIZED. The end of the test stops the pair; an error of the pair fails the test.
// Close clients before that: in a Cleanup registered after Start, or in the test itself.
func Start(t testing.TB) *embedded.Pair {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith is Start with options, such as a Schema. The folder may hold an earlier pair.
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
