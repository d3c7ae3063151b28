package aspstate

import "sync"

// cleanups are the calls that a store makes in the background, for callers that have left. The zero value is ready to
// use. It is not a sync.WaitGroup, because the first call may begin while close waits, which a WaitGroup forbids.
//
// Safe for concurrent use.
type cleanups struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when the last one ends; made when the first one begins
	closed  bool
}

// Go runs work in the background. After close was called, it runs work in the caller's goroutine: close may have
// returned, and then nothing may run in the background.
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

// begin counts one more. It returns false if the store is closed.
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

// Wait waits until no work runs in the background. New work may begin meanwhile, unless close was called before.
func (c *cleanups) Wait() {
	c.mu.Lock()
	running, idle := c.running, c.idle
	c.mu.Unlock()
	if running > 0 {
		<-idle
	}
}

// close prevents new work in the background, and waits for the work in progress.
func (c *cleanups) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.Wait()
}
