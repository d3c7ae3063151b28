package server

import (
	"net"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// origin says where a listener's address comes from, in words that follow the address.
func origin(cfg *config.Config, key, flag string) string {
	if from := cfg.Origin(key); from != "" {
		return "set by " + from
	}
	return "the default of " + key + " (" + flag + ")"
}

// localURL is where a listener is asked, from this machine: [::] and 0.0.0.0 are addresses to listen on, and none to
// connect to.
func localURL(ln net.Listener, c *proxy.Certificates) string {
	address := ln.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort(DialHost(host), port)
	}
	if c != nil {
		return "https://" + address
	}
	return "http://" + address
}

// Reachable is an address to connect to, on this machine, for one to listen on.
func DialHost(host string) string {
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		return "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		return "::1"
	}
	return host
}
