package aspstate

import "sync"

// cleanups are the calls that a store makes in the background, for callers that have
// left. The zero value is ready. A WaitGroup would not do: the first of them may begin
// while close waits, and a WaitGroup forbids that.
//
// Safe for concurrent use.
type cleanups struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when none is running any more; made with the first
	closed  bool
}

// Go runs work in the background, or, once close has been called, in the caller's
// goroutine: close may have returned, and nothing is to run behind it.
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

// Wait returns when none is running in the background. Others may begin meanwhile,
// unless close was called before.
func (c *cleanups) Wait() {
	c.mu.Lock()
	running, idle := c.running, c.idle
	c.mu.Unlock()
	if running > 0 {
		<-idle
	}
}

// close has no other begin in the background, and waits for those that are running.
func (c *cleanups) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.Wait()
}
