package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// DefaultActionTimeout is how long an operators' verb may take. A failover under load waits until the mirror has
// redone its queue.
const DefaultActionTimeout = 60 * time.Second

// PairView is the pair as the operators' listener sees it. Any number of goroutines may call it. A verb returns nil
// when it has been carried out. A refusal is an error that is, or wraps, one with the method Refusal() (number int32,
// message, advice string): SQL Server's number, what is wrong, and what to do about it.
type PairView interface {
	// Status returns what GET /v1/pair answers: a value that marshals to the contract's JSON, with the sweep. It
	// answers from memory.
	Status() any
	// Ready reports whether a principal is known or calls are held for one. The reason says which of the two applies,
	// or what is missing. It answers from memory.
	Ready() (bool, string)
	// Failover exchanges the roles without losing data.
	Failover(ctx context.Context) error
	// ForceService makes the mirror the principal without the old principal.
	ForceService(ctx context.Context, allowDataLoss bool) error
	// Suspend and Resume suspend and resume mirroring.
	Suspend(ctx context.Context) error
	Resume(ctx context.Context) error
	// Sweep deletes expired sessions now. It returns when that is done. If ctx ends first it returns nil, and the
	// status says that the sweep is still running.
	Sweep(ctx context.Context) error
	// Accept makes a partner, a or b, the accepted principal, even if its claim is older than the other partner's. The
	// partner must be a writable principal. The reason is logged.
	Accept(ctx context.Context, partner, reason string) error
}

// AdminConfig is what the operators' listener needs.
type AdminConfig struct {
	// API is the session API. It is served here too, and its store is listed. Required.
	API *API
	// Pair is the pair. Required.
	Pair PairView
	// Faults injects faults into an embedded pair. nil: the pair is not embedded, and POST /v1/pair/fault is refused.
	Faults FaultInjector
	// Events are the pair's events. nil: GET /v1/pair/events is 404.
	Events EventSource
	// Metrics answers GET /metrics. nil: 404.
	Metrics http.Handler
	// Leaving tells the readiness check that the server will end soon. nil: the check never fails for that reason.
	Leaving *Leaving
	// Version is sent in the header Mirrorstate-Version of every answer. Empty: the header is not sent.
	Version string
	// Hosts are the names, with or without port, that the Host header may have, besides localhost and any address.
	Hosts []string
	// Keys are the keys of callers; the same as the API's. nil: any caller may do anything.
	Keys *keyring.Keys
	// Local means that callers need no key for anything but sessions, until a key has an operator's right. It is for a
	// listener on loopback, or if the operator allows it. A key that had the right and was revoked counts too. Without
	// Keys callers need no key for sessions either.
	Local bool
	// ActionTimeout bounds an operators' verb. Default 60 s.
	ActionTimeout time.Duration
	// Logger logs the operators' verbs. Default: none.
	Logger *slog.Logger
}

// admin is the operators' listener.
type admin struct {
	api     *API
	pair    PairView
	faults  FaultInjector // nil: the pair is not embedded
	source  EventSource   // nil: no events
	leaving *Leaving      // nil: the readiness check never fails because the server will end
	timeout time.Duration
	log     *slog.Logger
	report  reporter
	gate    *gate
	streams eventPlaces
	listed  []byte // the text of GET /
}

// NewAdmin returns the handler of the operators' listener. Its routes are in one table (routes.go); GET / lists them.
//
// Every route refuses requests that a page of another origin makes, and requests whose Host is neither an address, nor
// localhost, nor one of Hosts. A caller with a key may read /metrics and /v1/pair under any Host: Prometheus and the
// watchdogs of other proxies use names that are not in Hosts, and a page has no key. With Keys, every path but
// /healthz, /readyz and /openapi.yaml needs a key with the right observe or operator. POST, the profiles and sessions
// need more.
func NewAdmin(cfg AdminConfig) (http.Handler, error) {
	if cfg.API == nil || cfg.Pair == nil {
		return nil, errors.New("operators' listener: no session API or no pair")
	}
	if cfg.ActionTimeout == 0 {
		cfg.ActionTimeout = DefaultActionTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &admin{
		api: cfg.API, pair: cfg.Pair, faults: cfg.Faults, source: cfg.Events, timeout: cfg.ActionTimeout, log: cfg.Logger,
		report: reporter{log: cfg.Logger, counts: cfg.API.report.counts},
	}
	a.leaving = cfg.Leaving
	g := &gate{keys: cfg.Keys, local: cfg.Local, counts: cfg.API.gate.counts}
	a.gate = g
	mux := newRouter(a.report)
	if cfg.Version != "" {
		mux.Use(versioned(cfg.Version))
	}
	table := a.routes(cfg.Metrics)
	a.listed = indexOf(table)
	guard := newGuard(a.report, "admin.hosts", cfg.Hosts)
	guard.proved = func(r *http.Request) bool {
		row, ok := find(table, r.Method, r.URL.Path)
		return ok && row.anyHost && g.showsKey(r)
	}
	open := make(map[string]bool)
	for _, row := range table {
		open[row.path] = row.right == 0
	}
	mux.Use(guard.wrap, g.operators(a.report, func(path string) bool { return open[path] }), bodiless(a.report))
	a.serve(mux, table)
	return mux, nil
}

// IsHealth reports whether a path of the operators' listener is a health check; see [ServerConfig.Health].
func IsHealth(path string) bool { return path == healthPath || path == readyPath }

// index answers GET / with a list of the routes.
func (a *admin) index(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"] = textType
	h["X-Content-Type-Options"] = nosniff
	w.Write(a.listed)
}

// healthz answers 200 while the process runs.
func (a *admin) healthz(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, struct {
		Healthy bool `json:"healthy"`
	}{true})
}

// versioned adds the version to every answer.
func versioned(version string) func(http.Handler) http.Handler {
	value := []string{version}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Mirrorstate-Version"] = value
			next.ServeHTTP(w, r)
		})
	}
}

// readyz answers 200 if requests would be answered or held now, and otherwise 503. A server that will end answers 503
// although it still serves requests.
func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) {
	ready, reason := a.pair.Ready()
	if a.leaving.Begun() {
		ready, reason = false, "this server is ending: it finishes its requests and should get no new ones"
	}
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	answerJSON(w, status, struct {
		Ready  bool   `json:"ready"`
		Reason string `json:"reason"`
	}{ready, reason})
}

// status answers GET /v1/pair.
func (a *admin) status(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, a.pair.Status())
}

// listing is a page of sessions. Next is where the next page begins, if there may be one.
type listing struct {
	Sessions []session.Entry `json:"sessions"`
	Next     session.ID      `json:"next,omitempty"` // for ?after=
}

// list answers GET /v1/apps/{app}/sessions?after=ID&limit=N: 200 with a page of
// sessions in the order of their ids, expired ones included.
func (a *admin) list(w http.ResponseWriter, r *http.Request) {
	if err := a.listPage(w, r); err != nil {
		a.report.fail(w, r, err, false)
	}
}

func (a *admin) listPage(w http.ResponseWriter, r *http.Request) error {
	c, t := call{api: a.api, w: w, r: r}, traits{noID: true, right: keyring.List}
	if err := c.authorize(a.gate, t); err != nil {
		return err
	}
	if err := c.decode(t); err != nil {
		return err
	}
	after, limit, err := c.page()
	if err != nil {
		return err
	}
	lister, err := c.lister()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.api.hold+deadlineMargin)
	defer cancel()
	entries, err := lister.List(c.permitting(ctx), c.ref.App, after, limit)
	if err != nil {
		return err
	}
	page := listing{Sessions: entries}
	if len(entries) == limit {
		page.Next = entries[limit-1].ID
	}
	if entries == nil {
		page.Sessions = []session.Entry{}
	}
	answerJSON(w, http.StatusOK, page)
	return nil
}

// answerJSON answers operators' requests, which are small and few.
func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err) // a bug: all our answers can be marshalled
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
