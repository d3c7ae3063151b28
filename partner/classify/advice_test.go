package classify

import (
	"errors"
	"strings"
	"testing"
)

// Each error text of the driver and of crypto/x509 gets its advice.
func TestCertificateAdvice(t *testing.T) {
	for text, says := range map[string]string{
		"x509: certificate has expired or is not yet valid: current time":                       "renewed",
		"x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs": "host_name_in_certificate",
		"x509: certificate is valid for a, not b":                                               "host_name_in_certificate",
		"x509: certificate relies on legacy Common Name field, use SANs instead":                "certificate_file",
		"TLS Handshake failed: remote error: tls: protocol version not supported":               "tls_min",
		"TLS Handshake failed: tls: server selected unsupported protocol version 301":           "tls_min",
		"TLS Handshake failed: remote error: tls: handshake failure":                            "ECDHE",
		"x509: something new": "could not be verified",
		"TLS Handshake failed: server certificate doesn't match the provided certificate": "if it was renewed",
		"server does not support encryption":                                              "encrypt: disable",
		"dial tcp: connection refused":                                                    "",
	} {
		got := certificateAdvice(errors.New(text))
		if !strings.Contains(got, says) || (got == "") != (says == "") {
			t.Errorf("%s: %q", text, got)
		}
	}
}
