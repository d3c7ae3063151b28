package config

import "time"

// Limits bound what callers may take. Each has a counter, and an answer that says so.
type Limits struct {
	// Requests is how many calls are at the database at once; the rest waits. Default 128,
	// twice the connections to a server.
	Requests int `yaml:"requests"`
	// Queue is how many may wait. Beyond it the newest call of whoever has most is answered
	// 429. Default 10000, as many as pair.hold.size.
	Queue int `yaml:"queue"`
	// QueueWait is how long, while others get through. Default 5s.
	QueueWait time.Duration `yaml:"queue_wait"`
	// Rate is how many requests a second one key is good for. Default 0: no bound.
	Rate int `yaml:"rate"`
	// Burst is how many at once. Default 0: twice Rate.
	Burst int `yaml:"burst"`
	// Bytes is how much memory the items of requests may take. Default 256MiB.
	Bytes Size `yaml:"bytes"`
	// Connections is how many may be open, of each listener. Some make room for new ones: those that have shown no
	// key, idle ones, and those that take no answers. Default 20000.
	Connections int `yaml:"connections"`
	// UnauthenticatedPerAddress is how many of them one address may have that have shown no key or certificate
	// yet; the next one closes the oldest. Default 0: a quarter of the listener's connections, and at least 16.
	UnauthenticatedPerAddress int `yaml:"unauthenticated_per_address"`
	// HeaderBytes is the largest request line with its headers; 4KiB more are let pass. Default 32KiB.
	HeaderBytes Size `yaml:"header_bytes"`
	// HeaderTimeout is how long they may take. Default 10s.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	// BodyTimeout is how long a whole request may take to come. Default 60s.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	// IdleTimeout is how long a connection may be idle. Default 180s: longer than balancers keep theirs.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// LockWaiters is how many calls may wait for one session's lock. Default 50, ASP.NET's.
	LockWaiters int `yaml:"lock_waiters"`
	// LockWaitersInAll is how many may wait for locks of all sessions. Default 10000.
	LockWaitersInAll int `yaml:"lock_waiters_in_all"`
	// NewApplications is how many applications one caller may register in an hour, beside those that
	// apps or its key names. Default 100; 0: no bound.
	NewApplications int `yaml:"new_applications"`
	// IdempotencyKeys is how many requests with an Idempotency-Key are remembered, so that their keys are not
	// taken for others. Default 100000; 0: none.
	IdempotencyKeys int `yaml:"idempotency_keys"`
}

func defaultLimits() Limits {
	return Limits{
		Requests: 128, Queue: 10_000, QueueWait: 5 * time.Second, Bytes: 256 << 20,
		Connections: 20_000, HeaderBytes: 32 << 10, HeaderTimeout: 10 * time.Second, BodyTimeout: time.Minute, IdleTimeout: 3 * time.Minute,
		LockWaiters: 50, LockWaitersInAll: 10_000, NewApplications: 100, IdempotencyKeys: 100_000,
	}
}

// validate checks the ranges, and one against the other.
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
	bad(l.BodyTimeout < l.HeaderTimeout, "limits.body_timeout", "%v is shorter than header_timeout, %v, which is a part of it", l.BodyTimeout, l.HeaderTimeout)
	bad(l.Burst > 0 && l.Rate == 0, "limits.burst", "has no meaning without limits.rate")
}
