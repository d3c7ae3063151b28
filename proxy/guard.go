package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard refuses requests that a browser was talked into. A page of somebody else
// reaches this listener under a name that is not ours (DNS rebinding), or under
// ours with its own origin (cross-site requests).
type guard struct {
	report reporter
	hosts  []string // names that are ours beside addresses, lower case, without port
}

func newGuard(report reporter, hosts []string) guard {
	names := make([]string, len(hosts))
	for i, host := range hosts {
		names[i] = strings.ToLower(hostname(host))
	}
	return guard{report: report, hosts: names}
}

// wrap lets only those requests through whose Host is ours and whose Origin, if
// they have one, is the Host.
func (g guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := g.refuses(r); reason != "" {
			g.report.fail(w, r, &problemError{kindForbidden, reason}, false)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuses answers why, or nothing.
func (g guard) refuses(r *http.Request) string {
	if !g.ours(r) {
		return "the Host is not this listener's address nor a name it is configured to have"
	}
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return ""
	}
	origin, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 || !strings.EqualFold(origin.Host, r.Host) {
		return "the Origin is not this listener"
	}
	return ""
}

// ours: loopback by name or address, the address the connection was made to, or a
// configured name. The port is not looked at: it may have been forwarded.
func (g guard) ours(r *http.Request) bool {
	host := strings.ToLower(hostname(r.Host))
	if host == "localhost" || slices.Contains(g.hosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap().WithZone("") == ip.WithZone("")
}

// hostname is a Host without its port and brackets.
func hostname(host string) string {
	u := url.URL{Host: host}
	return u.Hostname()
}
