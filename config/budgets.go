package config

import "time"

// Budgets are the timeouts for the servers of the pair. The defaults suit servers in one data center. A slower
// or more distant server needs longer ones.
type Budgets struct {
	// Dial is the timeout for a TCP connection, including the name lookup. Default 2s.
	Dial time.Duration `yaml:"dial"`
	// Login is the timeout for a connection with its login, including Dial. Default 3s.
	Login time.Duration `yaml:"login"`
	// Probe is the timeout for a probe. A server that does not answer in this time counts as gone, unless its calls succeed
	// or it is known to be slow. Default 1s. With a longer timeout a frozen principal is detected later.
	Probe time.Duration `yaml:"probe"`
	// SlowProbe is the timeout for a probe of a server that is known to be slow. Default 10s.
	SlowProbe time.Duration `yaml:"slow_probe"`
	// Attempt is the timeout for one attempt of a call, without the time to transfer its item. Default 5s.
	Attempt time.Duration `yaml:"attempt"`
	// Admin is how long an operator's verb waits until both servers show its result. Default 30s.
	Admin time.Duration `yaml:"admin"`
}

func defaultBudgets() Budgets {
	return Budgets{Dial: 2 * time.Second, Login: 3 * time.Second, Probe: time.Second, SlowProbe: 10 * time.Second,
		Attempt: 5 * time.Second, Admin: 30 * time.Second}
}

// validate checks the ranges, and compares the values.
func (b Budgets) validate(bad func(is bool, key, format string, args ...any)) {
	const key = "pair.budgets."
	for _, d := range []struct {
		key         string
		value       time.Duration
		least, most time.Duration
	}{
		{"dial", b.Dial, 100 * time.Millisecond, 30 * time.Second}, {"login", b.Login, 100 * time.Millisecond, 60 * time.Second},
		{"probe", b.Probe, 100 * time.Millisecond, 10 * time.Second}, {"slow_probe", b.SlowProbe, 100 * time.Millisecond, 60 * time.Second},
		{"attempt", b.Attempt, 100 * time.Millisecond, 60 * time.Second}, {"admin", b.Admin, time.Second, 10 * time.Minute},
	} {
		bad(d.value < d.least || d.value > d.most, key+d.key, "%v is not between %v and %v", d.value, d.least, d.most)
	}
	bad(b.Login < b.Dial, key+"login", "%v is shorter than dial (%v), which is a part of it", b.Login, b.Dial)
	bad(b.SlowProbe < b.Probe, key+"slow_probe", "%v is shorter than probe (%v)", b.SlowProbe, b.Probe)
	bad(b.Attempt < b.Probe, key+"attempt", "%v is shorter than probe (%v): a call would give up before its server counts as gone", b.Attempt, b.Probe)
	bad(b.Attempt < b.Login, key+"attempt", "%v is shorter than login (%v): a call could never open its first connection", b.Attempt, b.Login)
}
