package partner

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/link"
)

// MaxAttempt is the longest time that one attempt of a call may take, whatever it
// carries: its NotAfter is never later than that after it was sent.
const MaxAttempt = 60 * time.Second

// leastRate is how slowly an item may move, in bytes a second. What is slower hangs.
// 64 connections at once make 16 MiB a second of it; an item of 4 MiB has 16 s on top
// of Budgets.Attempt.
const minRate = 256 << 10

// timeFor is how long so many bytes take at leastRate.
func transferTime(bytes int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(max(bytes, 0), most)) * time.Second / minRate
}

// attemptTime returns the longest that one attempt may take that sends so many bytes; attempt is Budgets.Attempt.
func attemptTime(attempt time.Duration, bytes int64) time.Duration {
	return min(attempt+transferTime(bytes), MaxAttempt)
}

// countdown ends an attempt when its time is over. How long an answer is nobody knows
// before it has come, so one that is on its way has more time: that of the bytes that
// came so far.
type attemptTimer struct {
	end    time.Time // if nothing has come
	latest time.Time // whatever has come
	cancel context.CancelCauseFunc
	timer  *time.Timer

	mu      sync.Mutex
	lease   link.Lease // guarded by mu; where the bytes come from: nil before there is a connection
	base    int64      // guarded by mu; what had come there before this attempt
	stopped bool       // guarded by mu
}

// start makes a countdown run. stop ends it.
func (c *attemptTimer) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(time.Until(c.end), c.expire)
}

// watch has it look at what comes through l from now on.
func (c *attemptTimer) watch(l link.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease, c.base = l, l.Received()
}

// expire cancels the attempt, or waits on.
func (c *attemptTimer) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.lease != nil {
		end := c.end.Add(transferTime(c.lease.Received() - c.base))
		if end.After(c.latest) {
			end = c.latest
		}
		if d := time.Until(end); d > 0 {
			c.timer.Reset(d)
			return
		}
	}
	c.cancel(link.ErrAttemptTimeout)
}

// stop ends the countdown: the attempt has ended.
func (c *attemptTimer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
}
