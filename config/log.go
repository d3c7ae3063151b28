package config

import (
	"log/slog"
	"time"
)

// Log configures the log, which is written to standard error.
type Log struct {
	// Format is console (default; key=value, for people) or json (one object per line, for machines).
	Format string `yaml:"format"`
	// Level is the lowest level that is written: debug, info (default), warn or error. debug writes a line for each request.
	Level string `yaml:"level"`
}

// levels are the values of log.level.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// SlogLevel returns the level for log/slog.
func (l Log) SlogLevel() slog.Level { return levels[l.Level] }

// validate reports invalid values to bad.
func (l Log) validate(bad func(wrong bool, key, format string, args ...any)) {
	_, known := levels[l.Level]
	bad(!known, "log.level", "%q must be debug, info, warn or error", l.Level)
	bad(l.Format != "console" && l.Format != "json", "log.format", "%q must be console or json", l.Format)
}

// Drain configures how a server ends after SIGTERM.
type Drain struct {
	// Pause is how long the server still serves while /readyz reports that it ends, so that
	// balancers stop sending requests. It must be longer than balancers need to notice. 0s to 10m, default 5s.
	Pause time.Duration `yaml:"pause"`
	// Timeout is how long running requests may take after the pause, before they are aborted. 1s to 1h;
	// default: the hold window plus 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// drainGrace is added to the hold window for the default of drain.timeout.
const drainGrace = 10 * time.Second

// validate reports invalid values to bad.
func (d Drain) validate(bad func(wrong bool, key, format string, args ...any)) {
	bad(d.Pause < 0 || d.Pause > 10*time.Minute, "drain.pause", "%v is not between 0s and 10m", d.Pause)
	bad(d.Timeout < time.Second || d.Timeout > time.Hour, "drain.timeout", "%v is not between 1s and 1h", d.Timeout)
}
