package config

import (
	"log/slog"
	"time"
)

// Log is what goes to standard error, and how.
type Log struct {
	// Format is console (default; key=value, for people) or json (one object a line, for machines).
	Format string `yaml:"format"`
	// Level is the least that is written: debug, info (default), warn or error. At debug there is a line for each request.
	Level string `yaml:"level"`
}

// levels are the words a level may have.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// SlogLevel is the level as log/slog counts it.
func (l Log) SlogLevel() slog.Level { return levels[l.Level] }

// validate tells what is wrong through bad.
func (l Log) validate(bad func(wrong bool, key, format string, args ...any)) {
	_, known := levels[l.Level]
	bad(!known, "log.level", "%q is none of debug, info, warn and error", l.Level)
	bad(l.Format != "console" && l.Format != "json", "log.format", "%q is neither console nor json", l.Format)
}

// Drain is how a server ends that was told to by SIGTERM.
type Drain struct {
	// Pause is how long it goes on as before, while /readyz says that it is ending, so that
	// balancers send nothing more: longer than it takes them to notice. 0s to 10m, default 5s.
	Pause time.Duration `yaml:"pause"`
	// Timeout is how long requests under way may take after that, before they are cut off. 1s to 1h;
	// default: the hold window and 10s more.
	Timeout time.Duration `yaml:"timeout"`
}

// drainGrace is what the default of drain.timeout has beyond the hold window.
const drainGrace = 10 * time.Second

// validate tells what is wrong through bad.
func (d Drain) validate(bad func(wrong bool, key, format string, args ...any)) {
	bad(d.Pause < 0 || d.Pause > 10*time.Minute, "drain.pause", "%v is not between 0s and 10m", d.Pause)
	bad(d.Timeout < time.Second || d.Timeout > time.Hour, "drain.timeout", "%v is not between 1s and 1h", d.Timeout)
}
