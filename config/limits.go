package config

import "time"

// Limits are the limits for callers. For each there is a counter, and an answer that says that it was reached.
type Limits struct {
	// Requests is how many calls may use the database at the same time; others are queued. Default 128,
	// twice the connections to a server.
	Requests int `yaml:"requests"`
	// Queue is how many calls may be queued. If there are more, the newest call of the caller with the most queued calls
	// is answered 429. Default 10000, as many as pair.hold.size.
	Queue int `yaml:"queue"`
	// QueueWait is how long a call may be queued while other calls get to the database. Default 5s.
	QueueWait time.Duration `yaml:"queue_wait"`
	// Rate is how many requests per second one key may send. Default 0: unlimited.
	Rate int `yaml:"rate"`
	// Burst is how many requests one key may send at once. Default 0: twice Rate.
	Burst int `yaml:"burst"`
	// Bytes is how much memory the items of requests may use. Default 256MiB.
	Bytes Size `yaml:"bytes"`
	// Connections is how many connections each listener may have open. To make room for a new one, a connection is closed
	// that has sent no key, is idle, or does not read its answers. Default 20000.
	Connections int `yaml:"connections"`
	// UnauthenticatedPerAddress is how many connections without a key or certificate one address may have; the next one
	// closes the oldest. Default 0: a quarter of the listener's connections, and at least 16.
	UnauthenticatedPerAddress int `yaml:"unauthenticated_per_address"`
	// HeaderBytes is the maximum size of a request line with its headers; up to 4KiB more are tolerated. Default 32KiB.
	HeaderBytes Size `yaml:"header_bytes"`
	// HeaderTimeout is the timeout for receiving them. Default 10s.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	// BodyTimeout is the timeout for receiving a whole request. Default 60s.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	// IdleTimeout is how long a connection may be idle. Default 180s: longer than balancers keep idle connections.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// LockWaiters is how many calls may wait for one session's lock. Default 50, as in ASP.NET.
	LockWaiters int `yaml:"lock_waiters"`
	// LockWaitersInAll is how many calls may wait for the locks of all sessions together. Default 10000.
	LockWaitersInAll int `yaml:"lock_waiters_in_all"`
	// NewApplications is how many applications one caller may register in an hour, besides those that
	// apps or its key names. Default 100; 0: unlimited.
	NewApplications int `yaml:"new_applications"`
	// IdempotencyKeys is how many requests with an Idempotency-Key are remembered, to detect the reuse of a key for
	// another request. Default 100000; 0: none.
	IdempotencyKeys int `yaml:"idempotency_keys"`
}

func defaultLimits() Limits {
	return Limits{
		Requests: 128, Queue: 10_000, QueueWait: 5 * time.Second, Bytes: 256 << 20,
		Connections: 20_000, HeaderBytes: 32 << 10, HeaderTimeout: 10 * time.Second, BodyTimeout: time.Minute, IdleTimeout: 3 * time.Minute,
		LockWaiters: 50, LockWaitersInAll: 10_000, NewApplications: 100, IdempotencyKeys: 100_000,
	}
}

// validate checks the ranges, and compares the values.
func (l Limits) validate(bad func(is bool, key, format string, args ...any)) {
	for _, n := range []struct {
		key         string
		value       int64
		least, most int64
	}{
		{"requests", int64(l.Requests), 1, 100_000}, {"queue", int64(l.Queue), 1, 1_000_000},
		{"rate", int64(l.Rate), 0, 1_000_000}, {"burst", int64(l.Burst), 0, 1_000_000},
		{"connections", int64(l.Connections), 1, 1_000_000}, {"unauthenticated_per_address", int64(l.UnauthenticatedPerAddress), 0, 1_000_000},
		{"lock_waiters", int64(l.LockWaiters), 1, 100_000}, {"lock_waiters_in_all", int64(l.LockWaitersInAll), 1, 1_000_000},
		{"new_applications", int64(l.NewApplications), 0, 1_000_000}, {"idempotency_keys", int64(l.IdempotencyKeys), 0, 10_000_000},
		{"header_bytes", int64(l.HeaderBytes), 4 << 10, 1 << 20},
		{"bytes", int64(l.Bytes), 1 << 20, 1 << 40},
	} {
		bad(n.value < n.least || n.value > n.most, "limits."+n.key, "%d is not between %d and %d", n.value, n.least, n.most)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"queue_wait", l.QueueWait}, {"header_timeout", l.HeaderTimeout}, {"body_timeout", l.BodyTimeout}, {"idle_timeout", l.IdleTimeout},
	} {
		bad(d.value < 100*time.Millisecond || d.value > time.Hour, "limits."+d.key, "%v is not between 100ms and 1h", d.value)
	}
	bad(l.BodyTimeout < l.HeaderTimeout, "limits.body_timeout", "%v is shorter than header_timeout (%v), which is a part of it", l.BodyTimeout, l.HeaderTimeout)
	bad(l.Burst > 0 && l.Rate == 0, "limits.burst", "has no effect without limits.rate")
}
