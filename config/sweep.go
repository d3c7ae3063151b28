package config

import "time"

// Sweep is the expiry job: what SQL Agent's job does on an ASPState, wherever the principal is.
type Sweep struct {
	// Enabled: expired sessions are deleted. Default true. Several proxies on one database agree on
	// one of them.
	Enabled bool `yaml:"enabled"`
	// Interval is from the last batch of one sweep to the first of the next. 1s to 24h, default 1m.
	Interval time.Duration `yaml:"interval"`
	// MaxClockSkew is how far the partners' clocks may be apart. Further, nothing is swept, since
	// after a failover sessions would be gone too early. Default 5s.
	MaxClockSkew time.Duration `yaml:"max_clock_skew"`
	// AbandonedLockAfter is the age from which a lock no longer keeps its expired session. Default 110s.
	AbandonedLockAfter time.Duration `yaml:"abandoned_lock_after"`
	// AgentJob is what to do beside SQL Agent's own job: beside (default) sweeps too, which does no
	// harm; yield leaves it to the job while that is enabled on the principal.
	AgentJob string `yaml:"agent_job"`
}

// validate checks the ranges.
func (s *Sweep) validate(bad func(wrong bool, key, format string, args ...any)) {
	bad(s.Interval < time.Second || s.Interval > 24*time.Hour, "sweep.interval", "%v is not between 1s and 24h; to sweep nothing set sweep.enabled: false", s.Interval)
	bad(s.MaxClockSkew <= 0, "sweep.max_clock_skew", "%v is not positive", s.MaxClockSkew)
	bad(s.AbandonedLockAfter < time.Second || s.AbandonedLockAfter > 24*time.Hour, "sweep.abandoned_lock_after", "%v is not between 1s and 24h", s.AbandonedLockAfter)
	bad(s.AgentJob != "beside" && s.AgentJob != "yield", "sweep.agent_job", "%q is neither beside nor yield", s.AgentJob)
}
