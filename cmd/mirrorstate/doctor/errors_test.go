package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Each failure to connect has its own explanation and advice.
func TestUnreachable(t *testing.T) {
	browser := errors.New("log in to a: no instance matching 'STATE' returned from host 'sql1'; SQL Server Browser did not answer")
	for name, tc := range map[string]struct {
		err         error
		found, mend string
	}{
		"a named instance without Browser": {browser, "the named instance is not found", "HOST,PORT"},
		"after a timeout":                  {fmt.Errorf("%w: %w", context.DeadlineExceeded, browser), "the named instance is not found", "UDP 1434"},
		"a timeout":                        {context.DeadlineExceeded, "the server does not answer", "firewall"},
		"an old TLS":                       {errors.New("TLS Handshake failed: remote error: tls: protocol version not supported"), "the TLS handshake fails", "What Go's TLS refuses"},
		"a certificate":                    {errors.New("tls: failed to verify certificate: x509: y"), "the TLS handshake fails", "pair.ca_file"},
	} {
		t.Run(name, func(t *testing.T) {
			found, mend := unreachable(tc.err)
			if !strings.Contains(found, tc.found) || !strings.Contains(mend, tc.mend) {
				t.Errorf("got %q, %q; want %q, %q", found, mend, tc.found, tc.mend)
			}
		})
	}
}
