package server

import (
	"io"
	"log/slog"

	"github.com/mirrorstate/mirrorstate/config"
)

// Logs is where the program's lines go, and from which level on; that may change while it runs.
type Logs struct {
	*slog.Logger
	Level *slog.LevelVar
}

// NewLogs makes logs as the configuration has them.
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

// durationsAsText writes 1.5s where JSON would have 1500000000.
func durationsAsText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// NewLogger is for commands that run once, and have no configuration of their logs.
func NewLogger(w io.Writer, verbose bool) *slog.Logger {
	cfg := config.Log{Format: "console", Level: "info"}
	if verbose {
		cfg.Level = "debug"
	}
	return NewLogs(w, cfg).Logger
}
