package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// guarded sends a request to a listener with the name admin.example, at a link-local address of the zone eth0. It
// reports whether the request was accepted. If the URL says https, it uses TLS.
func guarded(t *testing.T, method, url, host string, headers ...string) bool {
	t.Helper()
	g := newGuard(reporter{log: slog.New(slog.DiscardHandler), counts: &problemCounts{requests: newRequestMetrics()}}, "admin.hosts", []string{"admin.example", "Absolute.example.:8081", "10.9.8.7"})
	let := false
	h := g.wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { let = true }))
	r := httptest.NewRequest(method, url, nil)
	local := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 8081}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	r.Host = host
	if (r.TLS != nil) != (url[:5] == "https") {
		t.Fatal("the request is not what its URL says")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if _, err := io.Copy(io.Discard, w.Body); err != nil || let == (w.Code == http.StatusForbidden) {
		t.Errorf("%s %s: let through %v, and answered %d, %v", method, host, let, w.Code, err)
	}
	return let
}

// A Host is ours if it is an address in the form of a URL, or a configured name.
func TestGuard_Hosts(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8081": true, "127.0.0.1:": true, "10.1.2.3:65535": true, "[::1]": true, "[::1]:8081": true, "[FD00::1]:1": true, "[::ffff:10.1.2.3]": true,
		"localhost": true, "LOCALHOST:1": true, "localhost.": true, "admin.example": true, "Admin.Example.:8081": true, "absolute.example": true, "absolute.example.": true,
		// the zone is the local name of a network card; it must be that of the listener's address
		"[fe80::1%25eth0]:8081": true, "[fe80::1%eth0]": true, "[::1%25evil]": false, "[::1%evil]:8081": false, "[fe80::1%25eth1]": false, "[fe80::1%25]": false, "[fe80::1%25ETH0]": false, "[fe80::1%2525eth0]": false,
		"127.0.0.1%25evil": false, "127.0.0.1%evil:1": false, "localhost%25evil": false,
		// Ports.
		"127.0.0.1:65536": false, "[::1]:99999": false, "localhost:123456": false, "127.0.0.1:-1": false, "127.0.0.1:+1": false, "127.0.0.1:1:1": false, "localhost:x": false,
		// Brackets, which an IPv6 address must have.
		"[127.0.0.1]": false, "[localhost]": false, "[admin.example]:8081": false, "::1": false, "fd00::1": false, "fd00::1:8081": false, "[::1": false, "::1]": false, "[[::1]]": false, "[::1]evil": false, "[::1].evil.example": false, "[]": false,
		// Dots, and other ways to write an address.
		"127.0.0.1.": false, "localhost..": false, ".localhost": false, "127.1": false, "2130706433": false, "0x7f.0.0.1": false, "0177.0.0.1": false, ".": false, ":8081": false,
		// User names and paths.
		"127.0.0.1@evil.example": false, "evil.example@127.0.0.1": false, "user:1@127.0.0.1": false, "u@localhost": false, "u@[::1]": false, "127.0.0.1/": false, "localhost#": false, " localhost": false, "localhost ": false, "": false,
	} {
		if got := guarded(t, "GET", "http://x/healthz", host); got != want {
			t.Errorf("Host %q is let through: %v, want %v", host, got, want)
		}
	}
}

// A page of http is another origin than one of https, even with the same name and port: an attacker in the network
// can change pages of http. TLS may end before the listener, so a listener without TLS accepts the origin https.
func TestGuard_OriginScheme(t *testing.T) {
	for _, c := range []struct {
		url, origin string
		want        bool
	}{
		{"http://x/", "http://admin.example", true},
		{"http://x/", "https://admin.example", true},
		{"https://x/", "https://admin.example", true},
		{"https://x/", "HTTPS://Admin.example", true},
		{"https://x/", "http://admin.example", false},
		{"https://x/", "http://admin.example:80", false},
		{"http://x/", "ftp://admin.example", false},
		{"http://x/", "chrome-extension://admin.example", false},
		{"http://x/", "//admin.example", false},
		{"http://x/", "admin.example", false},
		{"http://x/", "", false},
		{"http://x/", "null", false},
		{"http://x/", "http://user@admin.example", false},
		{"http://x/", "http://admin.example/", false},
		{"http://x/", "http://admin.example?", false},
		{"http://x/", "http://admin.example http://evil.example", false},
		{"http://x/", "http://admin.example:8081", false},
	} {
		for _, method := range []string{"GET", "POST"} {
			if got := guarded(t, method, c.url, "admin.example", "Origin", c.origin); got != c.want {
				t.Errorf("%s of %s with Origin %q is let through: %v, want %v", method, c.url, c.origin, got, c.want)
			}
		}
	}
}

// A link that the user follows opens a page, which is allowed. Frames and objects are requested without the user.
func TestGuard_Frames(t *testing.T) {
	navigate := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site"}
	for _, site := range []string{"cross-site", "same-site"} {
		for dest, want := range map[string]bool{"document": true, "iframe": false, "frame": false, "fencedframe": false, "object": false, "embed": false, "empty": false} {
			if got := guarded(t, "GET", "https://x/debug/pprof/profile", "admin.example", append(navigate, site, "Sec-Fetch-Dest", dest)...); got != want {
				t.Errorf("%s, %s is let through: %v, want %v", site, dest, got, want)
			}
		}
		if !guarded(t, "GET", "https://x/", "admin.example", append(navigate, site)...) {
			t.Errorf("%s: a link of a browser that says no destination is refused", site)
		}
	}
	for _, site := range []string{"same-origin", "none"} { // a frame of our own page, and an address that the user typed
		if !guarded(t, "GET", "https://x/", "admin.example", append(navigate, site, "Sec-Fetch-Dest", "iframe")...) {
			t.Errorf("%s: a frame is refused", site)
		}
	}
}
