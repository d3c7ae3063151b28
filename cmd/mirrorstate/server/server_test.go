package server

import (
	"net"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

type listener struct {
	net.Listener
	addr net.Addr
}

func (l listener) Addr() net.Addr { return l.addr }

func TestShownURL(t *testing.T) {
	for want, ip := range map[string]net.IP{
		"http://[::1]:8080": net.IPv6unspecified, "http://127.0.0.1:8080": net.IPv4zero, "http://10.0.0.5:8080": net.IPv4(10, 0, 0, 5),
	} {
		if got := shownURL(listener{addr: &net.TCPAddr{IP: ip, Port: 8080}}, nil); got != want {
			t.Errorf("%v: %s, want %s", ip, got, want)
		}
	}
}

// An address that nobody said is told as the default of its key.
func TestOrigin(t *testing.T) {
	var cfg config.Config
	if got := origin(&cfg, "api.listen", "--api"); got != "the default of api.listen (--api)" {
		t.Errorf("said by nobody: %q", got)
	}
}
