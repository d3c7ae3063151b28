package aspstate

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Cleanups begin while the store is closed. Each one runs, and none runs in the background after close has returned.
func TestCleanups_beginWhileTheStoreIsClosed(t *testing.T) {
	for range 200 {
		var (
			c   cleanups
			ran atomic.Int64
			all sync.WaitGroup
		)
		const each, times = 4, 8
		for range each {
			all.Go(func() {
				for range times {
					c.Go(func() { ran.Add(1) })
				}
			})
		}
		c.close()
		if c.running != 0 {
			t.Fatalf("%d are running after close", c.running)
		}
		all.Wait()
		if n := ran.Load(); n != each*times {
			t.Fatalf("%d clean-ups have run, want %d: one begun after close is still running", n, each*times)
		}
	}
}
