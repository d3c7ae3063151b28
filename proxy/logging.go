package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/session"
)

// logged serves a request and logs a line about it at Debug. The line has the route instead of the path, and a short
// hash instead of the session's id: ids are never logged.
func logged(log *slog.Logger, next http.Handler, w http.ResponseWriter, r *http.Request) {
	rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	rctx := chi.NewRouteContext()
	r = r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, rctx))
	start := time.Now()
	defer func() {
		log.Debug("request", "method", r.Method, "route", rctx.RoutePattern(), "status", rec.status,
			"session", rec.session.ShortHash(), "bytes", rec.bytes, "duration", time.Since(start))
	}()
	next.ServeHTTP(rec, r)
}

// routeOf returns the pattern that the request matched.
func routeOf(r *http.Request) string {
	if rctx := chi.RouteContext(r.Context()); rctx != nil {
		return rctx.RoutePattern()
	}
	return ""
}

// statusRecorder records what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
	bytes  int

	session session.ID // empty: the request names none
}

// WriteHeader implements http.ResponseWriter.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusRecorder) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// logSession adds the session to the log line of the request, if requests are logged.
func (c *call) logSession(w http.ResponseWriter) {
	if rec, ok := w.(*statusRecorder); ok {
		rec.session = c.ref.ID
	}
}
