package aspstate

import "sync"

// cleanups are the calls that a store makes in the background, for callers that have left. The zero value is ready. A
// WaitGroup would not do: the first call may begin while close waits, which a WaitGroup forbids.
//
// Safe for concurrent use.
type cleanups struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when none is running any more; made with the first
	closed  bool
}

// Go runs work in the background. Once close has been called, it runs work in the caller's goroutine, because close
// may have returned and nothing may run after it.
func (c *cleanups) Go(work func()) {
	if !c.begin() {
		work()
		return
	}
	go func() {
		defer c.end()
		work()
	}()
}

// begin counts one more; false: the store is closed.
func (c *cleanups) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.running == 0 {
		c.idle = make(chan struct{})
	}
	c.running++
	return true
}

// end counts one less.
func (c *cleanups) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running--; c.running == 0 {
		close(c.idle)
	}
}

// Wait returns when none is running in the background. Others may begin meanwhile, unless close was called before.
func (c *cleanups) Wait() {
	c.mu.Lock()
	running, idle := c.running, c.idle
	c.mu.Unlock()
	if running > 0 {
		<-idle
	}
}

// close prevents new background work, and waits for the work in progress.
func (c *cleanups) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.Wait()
}
