package proxy_test

import (
	"io"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/session/memory"
)

// clock is the time of a memory store, which the test moves.
type clock struct {
	store *memory.Store

	mu  sync.Mutex
	now time.Time // owned by mu
}

func newClock() *clock {
	c := &clock{now: time.Now()}
	c.store = memory.New(func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.now
	})
	return c
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// onlyReader hides the other methods of a reader, so that the length of the body is unknown.
type onlyReader struct{ io.Reader }
