package proxy

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// DefaultApplicationName is the application behind the alias "default" while no
// application is configured: ASP.NET's name of the root of IIS's first site.
const DefaultApplicationName = "/LM/W3SVC/1/ROOT"

// DefaultHoldWindow is how long a request may wait for a principal.
const DefaultHoldWindow = 30 * time.Second

// deadlineMargin is what a request's deadline has beyond its wait and the hold window.
const deadlineMargin = 5 * time.Second

// Limits bound what callers may ask for. Zero values stand for the defaults.
type Limits struct {
	MaxWait           time.Duration // longest ?wait=; default and contract: 120 s
	WaitersPerSession int           // callers that may queue for one session; default 50, ASP.NET's queue limit
	WaitersInAll      int           // callers that may queue for all sessions; default 10,000
	ListedSessions    int           // most sessions in one page of a list; default 1,000

	Places      int           // calls at the store at once; default 128, twice the pair's pool
	Queue       int           // calls that may wait for a place; default 10,000, as many as the hold has
	QueueWait   time.Duration // longest wait for a place while others get one; default 5 s
	ItemsMemory int64         // bytes of items in memory at once; default 256 MiB

	NewApplications int // applications that a caller may register in an hour, beside those that the configuration or its key names; default 100; below 0: any number
	IdempotencyKeys int // requests with an Idempotency-Key whose content is remembered; default 100,000; below 0: none
}

func (l Limits) withDefaults() Limits {
	if l.MaxWait == 0 {
		l.MaxWait = 120 * time.Second
	}
	if l.WaitersPerSession == 0 {
		l.WaitersPerSession = 50
	}
	if l.WaitersInAll == 0 {
		l.WaitersInAll = 10_000
	}
	if l.ListedSessions == 0 {
		l.ListedSessions = 1000
	}
	if l.Places == 0 {
		l.Places = 128
	}
	if l.Queue == 0 {
		l.Queue = 10_000
	}
	if l.QueueWait == 0 {
		l.QueueWait = 5 * time.Second
	}
	if l.ItemsMemory == 0 {
		l.ItemsMemory = 256 << 20
	}
	if l.NewApplications == 0 {
		l.NewApplications = 100
	}
	if l.IdempotencyKeys == 0 {
		l.IdempotencyKeys = 100_000
	}
	return l
}

// Config is what an [API] needs.
type Config struct {
	// Store keeps the sessions. Required.
	Store session.Store

	// Apps are the configured applications by alias. Rules left zero are the
	// defaults. Empty: "default" is DefaultApplicationName, and every application is let
	// in. An application asked for by its name has the rules of the alias with that name.
	Apps map[string]session.Application

	// AppsOpen lets applications in that Apps does not name, with the default rules. Otherwise they are refused:
	// a misspelt name would be a new application, whose sessions nobody finds.
	AppsOpen bool

	// BasePath is the path under which a reverse proxy offers the API, and which it takes off before it
	// passes a request on: /state, without a slash at its end. It is put before paths in answers.
	// Empty: none.
	BasePath string

	// HoldWindow is how long the store may hold a call for a principal; it is part
	// of each request's deadline. Default 30 s.
	HoldWindow time.Duration

	// FleetSecret gives the secret with which operation ids, tags and the handles of
	// locks are made: at least 16 bytes, the same in every proxy and after every start.
	// It is asked for each of them, so it should answer from memory; its errors are
	// shown like the store's. After an answer of the store it must be of the schema that
	// answered, or of a later one.
	//
	// No secret and no error: the store's schema has no place for one. Then handles and
	// tags are made with a key that is public, for every proxy must know the others', and
	// an Idempotency-Key means something in this process only.
	//
	// nil: a random secret of this process, so that all of them mean something here only.
	FleetSecret func(ctx context.Context) ([]byte, error)

	// Keys are who may call, and for what. nil: anybody, for everything.
	Keys *keyring.Keys

	// Hosts are names, with or without port, under which the API may be asked without Keys, beside localhost and any
	// address: under another name it would be a page's in a browser on this machine (DNS rebinding).
	Hosts []string

	// Holding says that the pair holds calls for a principal: those that come then wait
	// there, and take no place here. It is asked when there are no places left, and must answer from memory. nil: it never does.
	Holding func() bool

	// Logger takes faults, and at Debug a line for each request. Default: none.
	Logger *slog.Logger

	// Tracer follows calls. nil: nobody does, and it costs nothing.
	Tracer Tracer

	// Limits bound what callers may ask for.
	Limits Limits
}

// API is the session API as an http.Handler: every route of openapi.yaml. Any
// number of goroutines may use it.
type API struct {
	store   session.Store
	apps    atomic.Pointer[applications] // replaced by SetApps
	hold    time.Duration
	secrets *secrets
	log     *slog.Logger
	tracer  Tracer // nil: none
	limits  Limits
	report  reporter
	waiters *waiters
	gate    *gate
	memory  itemMemory
	mux     *chi.Mux

	admission     *admission
	registrations *registrations
	requests      *requestMemory
}

// NewAPI checks the configuration and makes the API. It starts nothing.
func NewAPI(cfg Config) (*API, error) {
	if cfg.Store == nil {
		return nil, errors.New("session API: no store")
	}
	apps, err := newApplications(cfg.Apps, cfg.AppsOpen)
	if err != nil {
		return nil, fmt.Errorf("session API: %w", err)
	}
	if cfg.HoldWindow == 0 {
		cfg.HoldWindow = DefaultHoldWindow
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults()
	a := &API{
		store: cfg.Store, hold: cfg.HoldWindow, secrets: newSecrets(cfg.FleetSecret),
		log: cfg.Logger, tracer: cfg.Tracer, limits: limits,
		report:  reporter{log: cfg.Logger, counts: &problemCounts{requests: newRequestMetrics()}},
		waiters: newWaiters(limits.WaitersPerSession, limits.WaitersInAll),
		gate:    &gate{keys: cfg.Keys, counts: new(accessCounts)},
		memory:  itemMemory{limit: limits.ItemsMemory},

		admission:     newAdmission(limits.Places, limits.Queue, limits.QueueWait, cfg.Holding),
		registrations: newRegistrations(limits.NewApplications),
		requests:      newRequestMemory(limits.IdempotencyKeys),
	}
	a.apps.Store(&apps)
	a.mux = newRouter(a.report)
	guard := newGuard(a.report, "api.hosts", cfg.Hosts)
	if cfg.Keys == nil {
		a.mux.Use(guard.wrap)
	} else {
		a.mux.Use(guard.wrapCertificates)
	}
	for _, row := range a.routes(a.gate, cfg.BasePath) {
		a.mux.Method(row.method, row.path, row.handler)
	}
	return a, nil
}

// SetApps replaces the configured applications, and whether others are let in, for the requests that come from now
// on. If one is not as it should be, nothing changes.
func (a *API) SetApps(configured map[string]session.Application, open bool) error {
	apps, err := newApplications(configured, open)
	if err != nil {
		return err
	}
	a.apps.Store(&apps)
	return nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		logged(a.log, a.mux, w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// StopWaiting answers everybody who waits for a locked session now, and from then
// on nobody waits: 423 is answered at once. Call it when the server is to end;
// otherwise the longest ?wait= holds that up. It may be called more than once.
func (a *API) StopWaiting() { a.waiters.close() }

// bodiless refuses GET and HEAD with a body.
func bodiless(report reporter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				if err := withoutBody(w, r); err != nil {
					report.fail(w, r, err, false)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// newRouter makes a router that answers problems for what it does not route.
func newRouter(report reporter) *chi.Mux {
	mux := chi.NewRouter()
	mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		report.fail(w, r, &problemError{kindNoRoute, "this path is no route of this interface; see /openapi.yaml"}, false)
	})
	mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		allowed := strings.Join(methodsOf(mux, r), ", ")
		if allowed == "" { // chi does not look at the path if it has never heard of the method
			mux.NotFoundHandler()(w, r)
			return
		}
		w.Header()["Allow"] = []string{allowed}
		report.fail(w, r, &problemError{kindMethod, "this path has " + allowed}, false)
	})
	return mux
}

// methodsOf asks the router which methods the path has; chi does not tell the
// handler of a wrong one.
func methodsOf(mux *chi.Mux, r *http.Request) []string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
		if mux.Match(chi.NewRouteContext(), method, path) {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

//go:embed openapi.yaml
var contract []byte

// serverURL is the contract's line that says where the API is.
const serverURL = "\n  - url: /\n"

// serveContract answers GET /openapi.yaml with the contract of the session API as it is found at base.
func serveContract(base string) http.HandlerFunc {
	text := contract
	if base != "" {
		text = bytes.Replace(text, []byte(serverURL), []byte("\n  - url: \""+base+"\"\n"), 1)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Type"] = yamlType
		h["X-Content-Type-Options"] = nosniff
		h["Content-Length"] = []string{strconv.Itoa(len(text))}
		defer answering(w, r, len(text)).written()
		w.Write(text)
	}
}
