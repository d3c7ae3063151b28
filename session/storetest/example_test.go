package storetest_test

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// The test of a store of your own: open it, and say what it promises.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestMyStore(t *testing.T)
		storetest.Run(t, func(t *testing.T) storetest.Subject {
			store := memory.New(nil) // yours
			return storetest.Subject{
				Store:    store,
				Extended: true, // it remembers operations
				Age:      func(_ *testing.T, ref session.Ref, d time.Duration) { store.Age(ref, d) },
			}
		})
	}
}
