package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
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
	hosts   []string                // names that are ours beside addresses, as splitHost has them
	last    *atomic.Pointer[string] // the Host that was ours last; most are it
	// proved reports whether a request shows what no page has, so that its Host may be any. nil: none does.
	proved func(r *http.Request) bool
}

func newGuard(report reporter, setting string, hosts []string) guard {
	var names []string
	for _, host := range hosts {
		if name, _, ok := splitHost(host); ok && name != "" { // addresses are ours without that
			names = append(names, name)
		}
	}
	return guard{report: report, setting: setting, hosts: names, last: new(atomic.Pointer[string])}
}

// wrap lets only those requests through whose Host is ours and whose Origin, if
// they have one, is that of its own page.
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
	if origins := r.Header["Origin"]; len(origins) > 0 && (len(origins) > 1 || !sameOrigin(origins[0], r)) {
		return "the Origin is not this listener"
	}
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 && (site[0] == "cross-site" || site[0] == "same-site") && !followsLink(r) {
		return "a page of another origin asks (Sec-Fetch-Site)"
	}
	return ""
}

// sameOrigin reports whether an Origin is the scheme and the Host that a request came by. Who stands between a browser and
// its servers writes the pages of http, so they are others than those of https. To a listener without a certificate https is
// its own, too: TLS may end before it.
func sameOrigin(origin string, r *http.Request) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	return strings.EqualFold(host, r.Host) && (strings.EqualFold(scheme, "https") || r.TLS == nil && strings.EqualFold(scheme, "http"))
}

// followsLink reports whether a browser asks for a page to be shown by itself. A frame is asked for in the same way, without
// anybody's doing: its destination is another. Some browsers say no destination.
func followsLink(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "document" || dest == "")
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
	name, address, ok := splitHost(r.Host)
	switch {
	case !ok:
		return false
	case address.Zone() != "":
		return address.Zone() == zoneOf(r) // of this connection
	case !address.IsValid() && name != "localhost" && !slices.Contains(g.hosts, name):
		return false
	}
	ours := r.Host // the request may go
	g.last.Store(&ours)
	return true
}

// zoneOf is the zone of the address that a request was sent to; most have none.
func zoneOf(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.Zone
	}
	return ""
}

// splitHost gives the address of a Host, or else its name, in lower case and without the dot of the root. An IPv6 address
// stands in brackets, its zone after % or %25; a port is at most 65535. ok is false for what is no Host.
func splitHost(host string) (name string, address netip.Addr, ok bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if port := host[i+1:]; port != "" {
			if _, err := strconv.ParseUint(port, 10, 16); err != nil {
				return "", address, false
			}
		}
		host = host[:i]
	}
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		inner, closed := strings.CutSuffix(inner, "]")
		v6, err := netip.ParseAddr(strings.Replace(inner, "%25", "%", 1))
		return "", v6, closed && err == nil && v6.Is6()
	}
	if v4, err := netip.ParseAddr(host); err == nil {
		return "", v4, v4.Is4()
	}
	name = strings.ToLower(strings.TrimSuffix(host, "."))
	return name, address, name != ""
}
