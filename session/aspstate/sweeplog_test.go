package aspstate

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// If a sweep fails every minute for the same reason, this is logged once, even if each error has another port number.
func TestSweeper_LogsAFailureOnce(t *testing.T) {
	var log bytes.Buffer
	s := &Sweeper{logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, text := range []string{"read tcp 127.0.0.1:41820->127.0.0.1:14331: connection reset", "read tcp 127.0.0.1:41822->127.0.0.1:14331: connection reset",
		"deadlocked", "deadlocked", "read tcp 127.0.0.1:5->127.0.0.1:14331: connection reset"} {
		s.failed(errors.New(text))
	}
	if n := strings.Count(log.String(), "expired sessions were not swept"); n != 3 {
		t.Errorf("%d lines, want 3:\n%s", n, &log)
	}
}
