package partner

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/link"
)

// MaxAttempt is the longest time that one attempt may take, whatever the size of its item. Attempt.NotAfter is
// never later than this after the attempt was sent.
const MaxAttempt = 60 * time.Second

// minRate is the lowest rate, in bytes per second, at which an item may be transferred. A slower transfer
// counts as hanging. At this rate 64 connections together transfer 16 MiB per second. An item of 4 MiB gets 16
// s in addition to Budgets.Attempt.
const minRate = 256 << 10

// transferTime returns how long the bytes take at minRate.
func transferTime(bytes int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(max(bytes, 0), most)) * time.Second / minRate
}

// attemptTime returns the longest time for an attempt that sends this many bytes; attempt is Budgets.Attempt.
func attemptTime(attempt time.Duration, bytes int64) time.Duration {
	return min(attempt+transferTime(bytes), MaxAttempt)
}

// attemptTimer cancels an attempt when its time is over. The length of an answer is unknown before it has come.
// So an answer that is arriving gets more time, for the bytes received so far.
type attemptTimer struct {
	end    time.Time // when the attempt ends if no bytes are received
	latest time.Time // when the attempt ends at the latest
	cancel context.CancelCauseFunc
	timer  *time.Timer

	mu      sync.Mutex
	lease   link.Lease // guarded by mu; the connection; nil before it is checked out
	base    int64      // guarded by mu; bytes received on it before this attempt
	stopped bool       // guarded by mu
}

// start starts the timer. The caller must call stop.
func (c *attemptTimer) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(time.Until(c.end), c.expire)
}

// watch makes the timer count the bytes received through l from now on.
func (c *attemptTimer) watch(l link.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease, c.base = l, l.Received()
}

// expire cancels the attempt, or extends its time if bytes were received.
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

// stop stops the timer: the attempt has ended.
func (c *attemptTimer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
}
