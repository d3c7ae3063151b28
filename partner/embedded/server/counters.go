package server

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Counters is what a partner has served since it was opened.
type Counters struct {
	Logins  int64            // accepted
	Refused int64            // logins refused
	Failed  int64            // of those, for a wrong user name or password
	Full    int64            // connections refused because there were as many as may be
	Batches int64            // SQL batches and sp_executesql
	Calls   map[string]int64 // procedure calls (RPC and EXEC) by the procedure's name
	Commits int64            // commits that changed something
}

type counters struct {
	logins, refused, failed, batches atomic.Int64
	calls                            sync.Map // of *atomic.Int64 by the procedure's name
}

// forget begins again.
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

// Counters tells what the partner has served: each login, batch and call was one
// round trip of a client.
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

// Requests is the sum of all batches and calls.
func (c Counters) Requests() int64 {
	n := c.Batches
	for calls := range maps.Values(c.Calls) {
		n += calls
	}
	return n
}
