package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// route is one row of a listener's table of routes. The router, the check of the callers' rights and the index of the
// operators' listener are made from the table.
type route struct {
	method  string
	path    string        // a pattern of chi
	right   keyring.Right // the caller needs one of these rights; 0: no credential is needed
	about   string        // what the route does, for the index
	handler http.Handler

	anyHost bool // a request with a valid key may have any Host
}

// withHead returns the table with a HEAD for each GET, with the same handler. net/http drops the body.
func withHead(table ...route) []route {
	all := make([]route, 0, 2*len(table))
	for _, row := range table {
		all = append(all, row)
		if row.method == http.MethodGet {
			row.method = http.MethodHead
			all = append(all, row)
		}
	}
	return all
}

// find returns the row of the table with that method and path.
func find(table []route, method, path string) (row route, ok bool) {
	for _, row := range table {
		if row.method == method && row.path == path {
			return row, true
		}
	}
	return route{}, false
}

// Paths that are named outside the tables.
const (
	healthPath   = "/healthz"
	readyPath    = "/readyz"
	sessionsPath = "/v1/apps/{app}/sessions"
)

// routes returns the routes of the contract, for the API's own listener or for the operators' listener; g is the gate of
// that listener. base is put before paths in answers.
func (a *API) routes(g *gate, base string) []route {
	const one = sessionsPath + "/{id}"
	row := func(method, path string, do verb, t traits, about string) route {
		series := a.report.counts.requests.route(method, path)
		return route{method: method, path: path, right: t.right, about: about, handler: a.handle(g, base, do, t, series)}
	}
	contract := bodiless(a.report)(serveContract(base))
	return append(withHead(route{method: "GET", path: "/openapi.yaml", about: "the session API in OpenAPI 3.1", handler: contract}),
		row("POST", sessionsPath, create, traits{right: keyring.Write, mutates: true, varies: true, body: true, timeout: true, noID: true}, "create a session"),
		row("GET", sessionsPath, listSessions, traits{right: keyring.List, noID: true}, "list sessions, ?cursor=…&limit=N"),
		row("HEAD", sessionsPath, listSessions, traits{right: keyring.List, noID: true}, "the same, without a body"),
		row("GET", one, get, traits{right: keyring.Read, conditional: true}, "read a session"),
		row("HEAD", one, head, traits{right: keyring.Read, conditional: true}, "the same, without the item, and without renewing the expiry"),
		row("PUT", one, put, traits{right: keyring.Write, mutates: true, varies: true, body: true, timeout: true, conditional: true}, "store a session"),
		row("DELETE", one, remove, traits{right: keyring.Remove, mutates: true, varies: true}, "remove a session"),
		row("POST", one+"/lock", acquire, traits{right: keyring.Lock, mutates: true, varies: true, timeout: true}, "acquire a session's lock and read the session"),
		row("DELETE", one+"/lock", release, traits{right: keyring.Lock, mutates: true, varies: true, timeout: true}, "release a session's lock"),
		row("POST", one+"/touch", touch, traits{right: keyring.Write, mutates: true, timeout: true}, "renew a session's expiry"),
	)
}

// routes returns the routes of the operators' listener: its own, and those of the session API that it does not replace.
func (a *admin) routes(metrics http.Handler) []route {
	open := func(path string, answer http.HandlerFunc, about string) route {
		return route{method: "GET", path: path, about: about, handler: answer}
	}
	look := func(path string, answer http.HandlerFunc, about string) route {
		return route{method: "GET", path: path, right: keyring.Operators, about: about, handler: answer}
	}
	scrape := func(path string, answer http.HandlerFunc, about string) route {
		return route{method: "GET", path: path, right: keyring.Operators, about: about, handler: answer, anyHost: true}
	}
	act := func(verb string, do func(ctx context.Context, body []byte) error, about string) route {
		return route{method: "POST", path: "/v1/pair/" + verb, right: keyring.Operate, about: about, handler: a.action(verb, do)}
	}
	profile := func(path string, answer http.HandlerFunc, about string) route {
		return route{method: "GET", path: "/debug/pprof" + path, right: keyring.Operate, about: about, handler: answer}
	}
	table := withHead(
		look("/", a.index, "this list"),
		open(healthPath, a.healthz, "the process runs"),
		open(readyPath, a.readyz, "a principal is known, or calls are held for one"),
		scrape("/v1/pair", a.status, "the pair's state"),
		// This replaces the list of the session API: it shows ids, and expired sessions too.
		route{method: "GET", path: sessionsPath, right: keyring.List, about: "list sessions, expired ones too, ?after=ID&limit=N", handler: http.HandlerFunc(a.list)},
	)
	if metrics != nil {
		table = append(table, withHead(scrape("/metrics", metrics.ServeHTTP, "metrics for Prometheus"))...)
	}
	table = append(table,
		look("/v1/pair/events", a.events, "what happens to the pair, as server-sent events"),
		act("failover", a.failover, `{"kind":"manual"} or {"kind":"force","allow_data_loss":true}`),
		act("suspend", a.suspend, "suspend mirroring"),
		act("resume", a.resume, "resume mirroring"),
		act("accept", a.accept, `{"partner":"a","reason":"…"}: use this partner as principal, even if its claim is older`),
		act("sweep", a.sweep, "delete the sessions that have expired"),
		act("fault", a.fault, `{"partner":"principal","fault":"crash"}, of an embedded pair`),
		// Without cmdline: a command line may hold a password.
		profile("", pprof.Index, "profiles"),
		profile("/*", pprof.Index, "a profile"),
		profile("/profile", pprof.Profile, "a CPU profile"),
		profile("/symbol", pprof.Symbol, "names of program counters"),
		profile("/trace", pprof.Trace, "a trace of the execution"),
	)
	for _, row := range a.api.routes(a.gate, "") {
		if _, replaced := find(table, row.method, row.path); !replaced {
			table = append(table, row)
		}
	}
	return table
}

// serve adds the routes to a router. Routes that need the right operator are behind a check of it. The routes of the
// session API check their rights themselves.
func (a *admin) serve(mux *chi.Mux, table []route) {
	for _, row := range table {
		if row.right == keyring.Operate {
			row.handler = a.gate.operate(a.report)(row.handler)
		}
		mux.Method(row.method, row.path, row.handler)
	}
}

// indexOf returns the table as text, with a line for each route but HEAD.
func indexOf(table []route) []byte {
	text := []byte("mirrorstate, operators' listener\n\n")
	for _, row := range table {
		if row.method != http.MethodHead {
			text = fmt.Appendf(text, "%-41s %s\n", fmt.Sprintf("%-4s %s", row.method, strings.TrimSuffix(row.path, "*")), row.about)
		}
	}
	return text
}
