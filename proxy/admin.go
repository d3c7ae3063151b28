package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// DefaultActionTimeout is how long an operators' verb may take. A failover under
// load waits for the mirror to redo its queue.
const DefaultActionTimeout = 60 * time.Second

// PairView is what the operators' listener sees of the pair. Any number of
// goroutines may call it. The verbs return nil when the pair is as asked for; a
// refusal is an error that has, or wraps one that has, the method
// Refusal() (number int32, message, advice string): SQL Server's number, what is
// wrong, and what to do about it.
type PairView interface {
	// Status is what GET /v1/pair answers, as a value that marshals to the contract's
	// JSON, sweep included. It asks nobody.
	Status() any
	// Ready is true while a principal is known or calls are held for one; the reason
	// says which, or what is missing. It asks nobody.
	Ready() (bool, string)
	// Failover exchanges the roles, losing nothing.
	Failover(ctx context.Context) error
	// ForceService makes the mirror principal without the old one.
	ForceService(ctx context.Context, allowDataLoss bool) error
	// Suspend and Resume stop and start mirroring.
	Suspend(ctx context.Context) error
	Resume(ctx context.Context) error
	// Sweep has expired sessions deleted now, and returns when that is done, or nil
	// when ctx's time is over first: the status says that it goes on.
	Sweep(ctx context.Context) error
	// Accept makes a partner, a or b, the one that is used, whatever its claim is
	// worth beside the other's. It must be a writable principal. The reason is logged.
	Accept(ctx context.Context, partner, reason string) error
}

// AdminConfig is what the operators' listener needs.
type AdminConfig struct {
	// API is the session API, served here too, and whose store is listed. Required.
	API *API
	// Pair is the pair. Required.
	Pair PairView
	// Faults breaks the servers of an embedded pair. nil: it is none, and
	// POST /v1/pair/fault is refused.
	Faults FaultInjector
	// Events tells what happens to the pair. nil: GET /v1/pair/events is 404.
	Events EventSource
	// Metrics answers GET /metrics. nil: 404.
	Metrics http.Handler
	// Leaving says whether the server will end, and is not ready any more. nil: it stays.
	Leaving *Leaving
	// Version stands in the header Mirrorstate-Version of every answer. Empty: it does not.
	Version string
	// Hosts are names, with or without port, under which the listener may be asked,
	// beside localhost and any address.
	Hosts []string
	// Keys are who may call, and for what; those of the API. nil: anybody, for everything.
	Keys *keyring.Keys
	// Local says that whoever reaches the listener may do everything but what is about sessions, until
	// a key has an operator's right: it is on loopback, or somebody said that this is meant. A key that
	// was revoked since counts. Without Keys sessions are open, too.
	Local bool
	// ActionTimeout bounds an operators' verb. Default 60 s.
	ActionTimeout time.Duration
	// Logger takes what operators did. Default: none.
	Logger *slog.Logger
}

// admin is the operators' listener.
type admin struct {
	api     *API
	pair    PairView
	faults  FaultInjector // nil: not an embedded pair
	source  EventSource   // nil: there is none
	leaving *Leaving      // nil: it stays
	timeout time.Duration
	log     *slog.Logger
	report  reporter
	gate    *gate
	streams eventPlaces
	listed  []byte // what GET / answers
}

// NewAdmin makes the operators' listener's handler. Its routes are in one table (routes.go); GET / lists them.
//
// All refuse a page of another origin with forbidden, and a Host that is neither an address nor localhost nor one of
// Hosts. By another name a caller with a key may look at /metrics and /v1/pair: Prometheus and the other proxies'
// watchdogs ask by whatever name they were given, and no page has a key. With
// Keys, all but /healthz, /readyz and /openapi.yaml want one with the right to observe or to operate; POST, pprof
// and what is about sessions want more. Whatever is added to it is behind the same gate.
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

// IsHealth says which paths of the operators' listener are health checks; see [ServerConfig.Health].
func IsHealth(path string) bool { return path == healthPath || path == readyPath }

// index tells what there is.
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

// versioned has every answer tell the version.
func versioned(version string) func(http.Handler) http.Handler {
	value := []string{version}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Mirrorstate-Version"] = value
			next.ServeHTTP(w, r)
		})
	}
}

// readyz answers 200 while requests would be answered or held, otherwise 503: also while the server is ending,
// though it still answers then.
func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) {
	ready, reason := a.pair.Ready()
	if a.leaving.Begun() {
		ready, reason = false, "this server is ending; it finishes what it has, and is to be sent nothing more"
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

// listing is a page of sessions. Next is where the next page starts, if there may be one.
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
	if err := c.admit(a.gate, t); err != nil {
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

// limit reads ?limit=, the most entries in a page.
func (c *call) limit() (int, error) {
	value, ok, err := c.parameter("limit")
	if err != nil || !ok {
		return min(100, c.api.limits.ListedSessions), err
	}
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 1 || limit > c.api.limits.ListedSessions {
		return 0, badInput("parameter limit", "must be between 1 and "+strconv.Itoa(c.api.limits.ListedSessions))
	}
	return limit, nil
}

// page reads ?after= and ?limit=.
func (c *call) page() (after session.ID, limit int, err error) {
	if limit, err = c.limit(); err != nil {
		return "", 0, err
	}
	value, ok, err := c.parameter("after")
	if ok && value != "" {
		after, err = session.ParseID(value)
	}
	return after, limit, err
}

// answerJSON answers for operators: small things, seldom.
func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err) // a bug: what we answer can be marshalled
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
