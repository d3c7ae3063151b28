// Package server is mirrorstate's server: the pair of SQL Servers, the session store on it, the session API and the
// operators' listener. Its input is a configuration, which [config.Load] makes, and [Options].
//
// A program of its own calls [New] and [Server.Run]. From New on, clients may connect to [Server.APIURL]; their requests
// wait until Run. The other names are for the commands of mirrorstate and for its tests.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// Options are the settings that the configuration does not have. With the zero value a server logs nothing, never reads
// its configuration again, and opens an embedded pair in the user's state directory if the configuration names no pair.
type Options struct {
	// Embedded is the pair that is opened if the configuration names none. Its folder also keeps the accepted
	// principal of a configured pair.
	Embedded Embedded
	// Load reads the configuration again, at each value of Reload. nil: it is not read again.
	Load   func() (config.Config, error)
	Reload <-chan os.Signal
	// Logs is where the server logs.
	Logs Logs
	// Version is the program's version, as the server shows it.
	Version string

	// Pair changes the configuration of the pair. For tests; may be nil.
	Pair func(*partner.Config)
	// Store wraps the store of the session API. For tests; may be nil.
	Store func(session.Store) session.Store
	// API wraps the handler of the session API. For tests; may be nil.
	API func(http.Handler) http.Handler
}

// Server is one server. New opens it, Run runs it.
type Server struct {
	cfg    config.Config
	o      Options
	limits fileLimits

	apiListener, adminListener net.Listener

	access    *access
	tracing   *telemetry.Tracing // nil: there is none
	metrics   *telemetry.Metrics
	storage   *Storage
	lifecycle *lifecycle
	api       *proxy.API
	admin     http.Handler

	ran atomic.Bool
}

// New checks the options and opens a server, in this order: the listeners, keys and certificates, tracing, the embedded pair if no pair is
// configured, and the connection pools. The listeners are first because a port in use is the most likely failure. No
// request is answered before Run. On failure New closes what it has opened. ctx bounds New only.
func New(ctx context.Context, cfg config.Config, o Options) (*Server, error) {
	if o.Logs.Logger == nil {
		o.Logs.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Logs.Level == nil {
		o.Logs.Level = new(slog.LevelVar)
	}
	s := &Server{cfg: cfg, o: o}
	for _, note := range cfg.Notes {
		o.Logs.Warn("about the configuration", "note", note)
	}
	for _, open := range []func(context.Context) error{s.listen, s.openAccess, s.openTracing, s.openStorage, s.openHandlers} {
		if err := open(ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// listen divides the files of this process among the connections, and opens the listeners.
func (s *Server) listen(ctx context.Context) (err error) {
	_, configured := s.cfg.Partners()
	if !configured {
		if _, err := s.o.Embedded.complete(); err != nil {
			return err
		}
	}
	files := OpenFiles()
	if s.limits, err = shareFiles(files, s.cfg.Limits, !configured); err != nil {
		return err
	}
	s.limits.warn(files, s.cfg.Limits, s.o.Logs.Logger)
	if s.apiListener, err = proxy.Listen(ctx, origin(&s.cfg, "api.listen", "--api"), s.cfg.API.Listen); err != nil {
		return err
	}
	s.adminListener, err = proxy.Listen(ctx, origin(&s.cfg, "admin.listen", "--admin"), s.cfg.Admin.Listen)
	return err
}

func (s *Server) openAccess(context.Context) (err error) {
	if s.access, err = openAccess(s.cfg, s.o.Logs.Logger); err != nil {
		return err
	}
	return s.access.check(s.cfg, s.apiListener.Addr(), s.adminListener.Addr(), s.o.Logs.Logger)
}

func (s *Server) openTracing(ctx context.Context) (err error) {
	if s.tracing, err = telemetry.NewTracing(ctx, os.LookupEnv, s.o.Version, databaseOf(s.cfg), s.o.Logs.Logger); err != nil {
		return err
	}
	s.metrics = telemetry.NewMetrics(s.o.Version, s.tracing)
	return nil
}

func (s *Server) openStorage(context.Context) error {
	servers, memory, err := openServers(s.cfg, s.o.Embedded, s.o.Logs.Logger)
	if err != nil {
		return err
	}
	changes := []func(*partner.Config){s.limits.pair}
	if s.o.Pair != nil {
		changes = append(changes, s.o.Pair)
	}
	s.storage, err = NewStorage(s.cfg, servers, memory, s.metrics.Calls, s.o.Logs.Logger, changes...)
	return err
}

func (s *Server) openHandlers(context.Context) (err error) {
	s.lifecycle = &lifecycle{notify: newNotifier(s.o.Logs.Logger), logs: s.o.Logs, version: s.o.Version}
	s.lifecycle.pause.Store(int64(s.cfg.Drain.Pause))
	s.api, s.admin, err = s.handlers()
	return err
}

// Run serves until ctx ends, then drains. If the cause of ctx is a [StoppedBy] with SIGTERM, it waits for drain.pause
// before draining, so that balancers notice. Run returns after everything it has started has ended and everything New
// has opened is closed. It returns nil, or the error of serving or draining. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	if !s.ran.CompareAndSwap(false, true) {
		return errors.New("server: it has already run, or was closed")
	}
	defer s.close()
	s.storage.Start()
	s.storage.sweep(s.cfg.Sweep.Enabled)
	s.storage.readSecret()
	s.access.watch(s.storage)
	defer s.lifecycle.startReloading(ctx, s.cfg, s.o, s.metrics.Reloads, s.storage, s.api, s.access)()
	apiRules, adminRules := s.listenerRules()
	apiRules.OnDrain = func() { endLockWaits(ctx, s.api.StopWaiting, s.cfg.Drain.Timeout) }
	api := s.lifecycle.leaving.Wrap(s.api)
	if s.o.API != nil {
		api = s.o.API(api)
	}
	return s.lifecycle.run(ctx, s.storage.failed, endpoint{s.apiListener, api, apiRules}, endpoint{s.adminListener, s.admin, adminRules})
}

// Close closes a server that has not run. It can't run afterwards. Run closes the server itself.
func (s *Server) Close() {
	if s.ran.CompareAndSwap(false, true) {
		s.close()
	}
}

// close closes everything that was opened; the listeners last.
func (s *Server) close() {
	if s.storage != nil {
		s.storage.Close()
	}
	if s.tracing != nil {
		closeTracing(s.tracing, s.o.Logs)
	}
	for _, ln := range []net.Listener{s.adminListener, s.apiListener} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}

// Kill stops a running server as kill -9 would, as seen from outside. It closes the connections to the SQL Servers
// first, then the listeners. It drains nothing and releases no lock. Run returns with an error. For tests.
func (s *Server) Kill() {
	s.storage.stopPair() // first: a handler that notices that its client is gone must not reach a SQL Server any more
	_ = s.apiListener.Close()
	_ = s.adminListener.Close()
}

// APIURL returns the URL by which this machine reaches the session API.
func (s *Server) APIURL() string { return localURL(s.apiListener, s.access.api) }

// AdminURL returns the URL by which this machine reaches the operators' listener.
func (s *Server) AdminURL() string { return localURL(s.adminListener, s.access.admin) }

// Keyed reports whether callers need keys.
func (s *Server) Keyed() bool { return s.access.keys != nil }

// Servers returns the embedded pair; nil if a pair is configured.
func (s *Server) Servers() *embedded.Pair { return s.storage.Servers }

// Status returns what GET /v1/pair answers.
func (s *Server) Status() PairStatus { return s.view().status() }

// Limits returns how many connections each listener accepts, and how many there may be to one SQL Server. There are
// fewer than configured if this process may not open enough files.
func (s *Server) Limits() (api, admin, sql int) { return s.limits.api, s.limits.admin, s.limits.sql }

// databaseOf returns the name of the mirrored database.
func databaseOf(cfg config.Config) string {
	if both, configured := cfg.Partners(); configured {
		return both.Database
	}
	return "ASPState"
}

// closeTracing sends the last spans and closes tracing.
func closeTracing(tracing *telemetry.Tracing, logs Logs) {
	if err := tracing.Close(); err != nil {
		logs.Warn("the last traces were not sent", "error", err)
	}
}
