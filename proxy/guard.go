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

// guard refuses requests that a page of another site made a browser send. Such a page reaches a listener under a name
// of its own (DNS rebinding), or under the listener's name with another origin (cross-site requests). This needs no
// credential if the listener needs none, or if the browser sends a certificate by itself.
type guard struct {
	report  reporter
	setting string                  // the configuration key of hosts
	hosts   []string                // the listener's names, besides addresses, as splitHost returns them
	last    *atomic.Pointer[string] // the last accepted Host; most requests have it
	// proved reports whether a request may have any Host, because it has something that a page cannot have, such as a
	// key. nil: no request may.
	proved func(r *http.Request) bool
}

func newGuard(report reporter, setting string, hosts []string) guard {
	var names []string
	for _, host := range hosts {
		if name, _, ok := splitHost(host); ok && name != "" { // addresses need no entry
			names = append(names, name)
		}
	}
	return guard{report: report, setting: setting, hosts: names, last: new(atomic.Pointer[string])}
}

// wrap refuses requests whose Host is not ours, and requests with an Origin other than the listener's.
func (g guard) wrap(next http.Handler) http.Handler {
	return g.refuse(next, func(r *http.Request) string {
		if !g.ours(r) && (g.proved == nil || !g.proved(r)) {
			return "the Host is not an address, localhost or a name of this listener: use its address, or add the name to " + g.setting
		}
		return fromElsewhere(r)
	})
}

// wrapCertificates is wrap for a listener that needs a key or a certificate. A page has no key. If the browser sends a
// certificate, TLS has verified the server's name, so only the Origin is checked.
func (g guard) wrapCertificates(next http.Handler) http.Handler {
	return g.refuse(next, func(r *http.Request) string {
		if r.TLS == nil || len(r.Header["Authorization"]) > 0 {
			return ""
		}
		return fromElsewhere(r)
	})
}

// refuse answers forbidden if reason returns a reason.
func (g guard) refuse(next http.Handler, reason func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := reason(r); why != "" {
			g.report.fail(w, r, &problemError{kindForbidden, why}, false)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere returns why a request comes from a page of another origin, or an empty string. Browsers send no
// Origin with a GET whose answer the page cannot read; most send Sec-Fetch-Site. Following a link is allowed.
func fromElsewhere(r *http.Request) string {
	if origins := r.Header["Origin"]; len(origins) > 0 && (len(origins) > 1 || !sameOrigin(origins[0], r)) {
		return "the Origin is not this listener's"
	}
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 && (site[0] == "cross-site" || site[0] == "same-site") && !followsLink(r) {
		return "a page of another origin sent the request (Sec-Fetch-Site)"
	}
	return ""
}

// sameOrigin reports whether an Origin has the scheme and the Host of the request. An attacker in the network can change
// pages of http, so a page of http is another origin than one of https. A listener without a certificate accepts https
// too: TLS may end at a reverse proxy.
func sameOrigin(origin string, r *http.Request) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	return strings.EqualFold(host, r.Host) && (strings.EqualFold(scheme, "https") || r.TLS == nil && strings.EqualFold(scheme, "http"))
}

// followsLink reports whether a browser requests a page to show it in a window, because the user followed a link. A
// frame is requested without the user, and has another Sec-Fetch-Dest. Some browsers send no Sec-Fetch-Dest.
func followsLink(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "document" || dest == "")
}

// ours reports whether the Host is an address, localhost, or a configured name. The owner of a name can make it point to
// this machine, so other names are refused. Nobody can do that with an address, so every address is accepted: kubelets
// and load balancers use one. A browser always sends a Host; HTTP/1.0 probes may send none. The port is ignored,
// because it may have been forwarded.
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
		return address.Zone() == zoneOf(r) // the zone of this connection
	case !address.IsValid() && name != "localhost" && !slices.Contains(g.hosts, name):
		return false
	}
	ours := r.Host // a copy, so that g.last does not keep the request in memory
	g.last.Store(&ours)
	return true
}

// zoneOf returns the zone of the address that a request was sent to; most addresses have no zone.
func zoneOf(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.Zone
	}
	return ""
}

// splitHost returns the address of a Host, or else its name, in lower case and without the dot of the root. An IPv6
// address is in brackets, with its zone after % or %25; a port is at most 65535. ok is false for an invalid Host.
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
