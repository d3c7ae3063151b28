package engine

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Counters is what a partner has served since it was opened.
type Counters struct {
	Logins  int64            // accepted logins
	Refused int64            // refused logins
	Failed  int64            // logins refused for a wrong user name or password
	Full    int64            // connections refused because of the limit of connections
	Batches int64            // SQL batches and sp_executesql
	Calls   map[string]int64 // procedure calls (RPC and EXEC) by the procedure's name
	Commits int64            // commits that changed something
}

type counters struct {
	logins, refused, failed, batches atomic.Int64
	calls                            sync.Map // *atomic.Int64 by the procedure's name
}

// forget sets all counters to zero.
func (c *counters) forget() {
	c.batches.Store(0)
	c.calls.Clear()
}

// call counts a call.
func (c *counters) call(name string) {
	n, ok := c.calls.Load(name)
	if !ok {
		n, _ = c.calls.LoadOrStore(name, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// Counters returns what the partner has served. Each login, batch and procedure
// call was one round trip of a client.
func (p *Partner) Counters() Counters {
	c := Counters{Logins: p.counts.logins.Load(), Refused: p.counts.refused.Load(), Failed: p.counts.failed.Load(), Full: p.Server.Refused(), Batches: p.counts.batches.Load(),
		Calls: map[string]int64{}}
	for _, d := range p.Sorted() {
		c.Commits += d.Store.LSN.Load()
	}
	p.counts.calls.Range(func(name, n any) bool {
		c.Calls[name.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return c
}

// Requests returns the sum of all batches and calls.
func (c Counters) Requests() int64 {
	n := c.Batches
	for calls := range maps.Values(c.Calls) {
		n += calls
	}
	return n
}
