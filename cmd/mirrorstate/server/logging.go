package server

import (
	"io"
	"log/slog"

	"github.com/mirrorstate/mirrorstate/config"
)

// Logs is the program's logger and its level. The level may change while the program runs.
type Logs struct {
	*slog.Logger
	Level *slog.LevelVar
}

// NewLogs returns logs that follow the configuration and are written to w.
func NewLogs(w io.Writer, cfg config.Log) Logs {
	l := Logs{Level: new(slog.LevelVar)}
	l.Level.Set(cfg.SlogLevel())
	options := &slog.HandlerOptions{Level: l.Level}
	if cfg.Format == "json" {
		options.ReplaceAttr = durationsAsText
		l.Logger = slog.New(slog.NewJSONHandler(w, options))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(w, options))
	}
	return l
}

// durationsAsText writes a duration as 1.5s, where the JSON handler would write 1500000000.
func durationsAsText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// NewLogger returns a logger for a command that runs once and does not read log settings from the configuration.
func NewLogger(w io.Writer, verbose bool) *slog.Logger {
	cfg := config.Log{Format: "console", Level: "info"}
	if verbose {
		cfg.Level = "debug"
	}
	return NewLogs(w, cfg).Logger
}
