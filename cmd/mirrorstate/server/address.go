package server

import (
	"net"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// origin returns where a listener's address was set, worded to follow the address in an error.
func origin(cfg *config.Config, key, flag string) string {
	if from := cfg.Origin(key); from != "" {
		return "set by " + from
	}
	return "the default of " + key + " (" + flag + ")"
}

// localURL returns the URL by which this machine reaches a listener. It replaces [::] and 0.0.0.0, to which nobody can
// connect.
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

// DialHost returns the host to dial, on this machine, for a host to listen on.
func DialHost(host string) string {
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		return "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		return "::1"
	}
	return host
}
