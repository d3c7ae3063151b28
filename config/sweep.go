package config

import "time"

// Sweep configures the expiry job. It replaces the SQL Server Agent job of ASPState, and always runs on the principal.
type Sweep struct {
	// Enabled switches the expiry job on. Default true. Of several proxies on one database only
	// one sweeps.
	Enabled bool `yaml:"enabled"`
	// Interval is the time from the end of one sweep to the start of the next. 1s to 24h, default 1m.
	Interval time.Duration `yaml:"interval"`
	// MaxClockSkew is the maximum difference between the partners' clocks. If they differ more, nothing is swept, because
	// after a failover sessions would be deleted too early. Default 5s.
	MaxClockSkew time.Duration `yaml:"max_clock_skew"`
	// AbandonedLockAfter is the lock age from which an expired session is deleted although it is locked. Default 110s.
	AbandonedLockAfter time.Duration `yaml:"abandoned_lock_after"`
	// AgentJob says what to do if the SQL Server Agent job sweeps too. beside (default): sweep nevertheless, which is
	// safe. yield: do not sweep while the job is enabled on the principal.
	AgentJob string `yaml:"agent_job"`
}

// validate checks the ranges.
func (s *Sweep) validate(bad func(wrong bool, key, format string, args ...any)) {
	bad(s.Interval < time.Second || s.Interval > 24*time.Hour, "sweep.interval", "%v is not between 1s and 24h; to switch the sweep off, set sweep.enabled: false", s.Interval)
	bad(s.MaxClockSkew <= 0, "sweep.max_clock_skew", "%v must be greater than 0", s.MaxClockSkew)
	bad(s.AbandonedLockAfter < time.Second || s.AbandonedLockAfter > 24*time.Hour, "sweep.abandoned_lock_after", "%v is not between 1s and 24h", s.AbandonedLockAfter)
	bad(s.AgentJob != "beside" && s.AgentJob != "yield", "sweep.agent_job", "%q must be beside or yield", s.AgentJob)
}
