package aspstate

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// A sweep that comes to nothing each minute for one reason is said once, though each error names another port.
func TestSweeper_OneFailureIsSaidOnce(t *testing.T) {
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
