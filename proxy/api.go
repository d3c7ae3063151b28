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

// DefaultApplicationName is the application of the alias "default" if no application is configured: ASP.NET's name of
// the root of IIS's first site.
const DefaultApplicationName = "/LM/W3SVC/1/ROOT"

// DefaultHoldWindow is how long a request may wait for a principal.
const DefaultHoldWindow = 30 * time.Second

// deadlineMargin is added to a request's wait and the hold window to make its deadline.
const deadlineMargin = 5 * time.Second

// Limits bound what callers may ask for. Zero values stand for the defaults.
type Limits struct {
	MaxWait           time.Duration // longest ?wait=; default and contract: 120 s
	WaitersPerSession int           // calls that may queue for one session's lock; default 50, ASP.NET's queue limit
	WaitersInAll      int           // calls that may queue for all sessions' locks; default 10,000
	ListedSessions    int           // sessions on one page of a list; default 1,000

	Places      int           // calls at the store at once; default 128, twice the pair's pool
	Queue       int           // calls that may wait for a place; default 10,000, the size of the hold
	QueueWait   time.Duration // longest wait for a place while others get one; default 5 s
	ItemsMemory int64         // bytes of items in memory at once; default 256 MiB

	NewApplications int // applications that a caller may register per hour, besides those that the configuration or its key names; default 100; below 0: any number
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

	// Apps are the configured applications by alias. Zero rules stand for the defaults. If Apps is empty, the alias
	// "default" is DefaultApplicationName, and every application is allowed. A request may name an application by its
	// name instead of its alias; the rules are the same.
	Apps map[string]session.Application

	// AppsOpen allows applications that Apps does not name, with the default rules. If it is false they are refused,
	// because a misspelt name would make a new application.
	AppsOpen bool

	// BasePath is the path under which a reverse proxy offers the API, such as /state, without a slash at its end.
	// The reverse proxy removes it from requests, and the API puts it before paths in answers. Empty: none.
	BasePath string

	// HoldWindow is how long the store may hold a call for a principal. It is part of each request's deadline.
	// Default 30 s.
	HoldWindow time.Duration

	// FleetSecret returns the secret from which operation ids, tags and the handles of locks are made. It has at least
	// 16 bytes, and is the same in every proxy of the fleet and after every start. The API calls FleetSecret for each
	// id, tag and handle, so it should answer from memory. Its errors are answered like the store's. After an answer
	// of the store, the secret must be that of the schema that answered, or of a later one.
	//
	// A nil secret without an error means that the store's schema has no place for one. Then handles and tags are
	// made with a public key, so that every proxy can open them, and an Idempotency-Key is valid in this process only.
	//
	// If FleetSecret is nil, this process makes a random secret: ids, tags and handles are valid in this process only.
	FleetSecret func(ctx context.Context) ([]byte, error)

	// Keys are the keys of callers. nil: any caller may do anything.
	Keys *keyring.Keys

	// Hosts are the names, with or without port, that the Host header may have without Keys, besides localhost and any
	// address. Otherwise a page in a browser on this machine could use the API under a name of its own (DNS rebinding).
	Hosts []string

	// Holding reports whether the pair holds calls for a principal. Calls then take no place: they wait in the hold. It
	// is called if no place is free, and must answer from memory. nil: the pair never holds calls.
	Holding func() bool

	// Logger logs faults, and at Debug a line for each request. Default: none.
	Logger *slog.Logger

	// Tracer traces calls. nil: calls are not traced, which costs nothing.
	Tracer Tracer

	// Limits bound what callers may ask for.
	Limits Limits
}

// API is the session API as an http.Handler: every route of openapi.yaml. Any number of goroutines may use it.
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

// NewAPI checks the configuration and returns the API. It starts nothing.
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

// SetApps replaces the configured applications, and whether others are allowed, for requests that come from now on.
// If an application is not valid, nothing changes.
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

// StopWaiting answers 423 to all calls that wait for a lock. Later calls do not wait. Call it when the server is about
// to end: otherwise the longest ?wait= delays the end. It may be called more than once.
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

// newRouter returns a router that answers paths and methods without a route with problems.
func newRouter(report reporter) *chi.Mux {
	mux := chi.NewRouter()
	mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		report.fail(w, r, &problemError{kindNoRoute, "no such route; see /openapi.yaml"}, false)
	})
	mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		allowed := strings.Join(methodsOf(mux, r), ", ")
		if allowed == "" { // chi does not look at the path of an unknown method
			mux.NotFoundHandler()(w, r)
			return
		}
		w.Header()["Allow"] = []string{allowed}
		report.fail(w, r, &problemError{kindMethod, "this path takes " + allowed}, false)
	})
	return mux
}

// methodsOf returns the methods that the router has for the path; chi does not tell the handler of a wrong method.
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

// serverURL is the line of the contract that has the API's URL.
const serverURL = "\n  - url: /\n"

// serveContract answers GET /openapi.yaml with the contract of the session API at base.
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
