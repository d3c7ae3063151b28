package proxy

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// guard refuses requests that a browser was talked into. A page of somebody else
// reaches a listener under a name that is not ours (DNS rebinding), or under
// ours with its own origin (cross-site requests). No credential is needed for either where
// the listener asks for none, or where the browser shows a certificate by itself.
type guard struct {
	report  reporter
	setting string                  // the key of the configuration that has hosts
	hosts   []string                // names that are ours beside addresses, lower case, without port
	last    *atomic.Pointer[string] // the Host that was ours last; most are it
	// proved reports whether a request shows what no page has, so that its Host may be any. nil: none does.
	proved func(r *http.Request) bool
}

func newGuard(report reporter, setting string, hosts []string) guard {
	names := make([]string, len(hosts))
	for i, host := range hosts {
		names[i] = strings.ToLower(hostname(host))
	}
	return guard{report: report, setting: setting, hosts: names, last: new(atomic.Pointer[string])}
}

// wrap lets only those requests through whose Host is ours and whose Origin, if
// they have one, is the Host.
func (g guard) wrap(next http.Handler) http.Handler {
	return g.refuse(next, func(r *http.Request) string {
		if !g.ours(r) && (g.proved == nil || !g.proved(r)) {
			return "the Host is neither an address nor localhost nor a name that this listener has: ask by its address, or add the name to " + g.setting
		}
		return fromElsewhere(r)
	})
}

// wrapCertificates is wrap for a listener that wants a key or a certificate. A page has no key. Where it has the browser's
// certificate, the Host is the server's by TLS; what is left is the Origin.
func (g guard) wrapCertificates(next http.Handler) http.Handler {
	return g.refuse(next, func(r *http.Request) string {
		if r.TLS == nil || len(r.Header["Authorization"]) > 0 {
			return ""
		}
		return fromElsewhere(r)
	})
}

// refuse answers forbidden where reason gives one.
func (g guard) refuse(next http.Handler, reason func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := reason(r); why != "" {
			g.report.fail(w, r, &problemError{kindForbidden, why}, false)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere answers how a request shows that a page of another origin sent it, or nothing. A browser sends no Origin
// with a GET that the page cannot read the answer of; most say Sec-Fetch-Site instead. Following a link is no such request.
func fromElsewhere(r *http.Request) string {
	if origins := r.Header["Origin"]; len(origins) > 0 {
		origin, err := url.Parse(origins[0])
		if err != nil || len(origins) > 1 || !strings.EqualFold(origin.Host, r.Host) {
			return "the Origin is not this listener"
		}
	}
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 && (site[0] == "cross-site" || site[0] == "same-site") {
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet {
			return "a page of another origin asks (Sec-Fetch-Site)"
		}
	}
	return ""
}

// ours: an address, localhost, or a configured name. A page is reached under a name: whoever serves it can have the name
// point here, and cannot have an address do so. So probes of kubelets and balancers, which ask by address, are let in
// whatever address they know. A browser always says a Host; HTTP/1.0 probes may say none. The port is not looked at: it
// may have been forwarded.
func (g guard) ours(r *http.Request) bool {
	if last := g.last.Load(); last != nil && *last == r.Host {
		return true
	}
	if r.Host == "" {
		return !r.ProtoAtLeast(1, 1)
	}
	host := strings.ToLower(hostname(r.Host))
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && !slices.Contains(g.hosts, host) {
		return false
	}
	ours := r.Host // the request may go
	g.last.Store(&ours)
	return true
}

// hostname is a Host without its port and brackets.
func hostname(host string) string {
	u := url.URL{Host: host}
	return u.Hostname()
}
