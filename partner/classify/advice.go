package classify

import (
	"fmt"
	"strings"
)

// oldTLS is the advice for a server whose newest TLS version is 1.1.
const oldTLS = "the server speaks TLS 1.0 or 1.1 only: install Microsoft's TLS 1.2 update for SQL Server there, or set tls_min: \"1.0\""

// certificateErrors are the texts of errors about certificates and encryption, each with advice. The first
// match counts. The driver turns most of these errors into text, so the text is searched. Source: crypto/x509
// (verify.go), go-mssqldb (tds.go, msdsn); the handshake errors were observed.
var certificateErrors = []struct{ says, advice string }{
	{"signed by unknown authority", "the certificate is not signed by an authority that this machine trusts (SQL Server without a certificate makes its own): " +
		"set the root certificate with ca_file, or pin the server's own certificate with certificate_file"},
	{"is not trusted", "the certificate is not signed by an authority that this machine trusts: set the root certificate with ca_file, or pin the certificate with certificate_file"},
	{"has expired or is not yet valid", "have the certificate renewed, or set this machine's clock; certificate_file accepts a certificate of any date"},
	{"doesn't contain any IP SANs", "the certificate is for a host name and not for an address: set the name with host_name_in_certificate, or use it as the server's address"},
	{"legacy Common Name field", "the certificate has only a common name, which is no longer supported: pin the certificate with certificate_file"},
	{"certificate is valid for", "the certificate is for another name: set that name with host_name_in_certificate"},
	{"is not valid for any names", "the certificate contains no name: pin it with certificate_file"},
	{"invalid certificate name", "the certificate is for another name: set that name with host_name_in_certificate"},
	{"doesn't match the provided certificate", "the server uses another certificate than the one in certificate_file: if it was renewed, replace the file"},
	{"protocol version not supported", oldTLS},
	{"unsupported protocol version", oldTLS},
	{"tls: handshake failure", "the server offers only what Go's TLS refuses (RSA key exchange, 3DES, SHA-1): enable ECDHE and SHA-256 there, or see the page about the configuration, What Go's TLS refuses"},
	{"x509: ", "the certificate could not be verified: see the page about the configuration, TLS"},
	{"server does not support encryption", "install a certificate on the server, or set encrypt: disable, which sends the password unencrypted"},
}

// WithAdvice returns err with advice for the operator, if err is about a certificate or an instance that was
// not found. Otherwise it returns err. It wraps err, so the class stays the same.
func WithAdvice(err error) error {
	if advice := certificateAdvice(err); advice != "" {
		err = fmt.Errorf("%w; %s", err, advice)
	}
	return withBrowserAdvice(err)
}

// certificateAdvice returns the advice for an error about a certificate, or "" for another error.
func certificateAdvice(err error) string {
	text := err.Error()
	for _, r := range certificateErrors {
		if strings.Contains(text, r.says) {
			return r.advice
		}
	}
	return ""
}

// noInstance is the driver's text if SQL Server Browser did not answer or does not know the instance. The
// driver does not distinguish the two and drops the reason. Source: go-mssqldb (protocol.go), observed.
const noInstance = "no instance matching"

// withBrowserAdvice returns err, with advice if a named instance was not found.
func withBrowserAdvice(err error) error {
	if err == nil || !strings.Contains(err.Error(), noInstance) {
		return err
	}
	return fmt.Errorf("%w; SQL Server Browser did not answer, or does not know that instance: start the service there and open UDP port 1434 to it, or give the instance's port (HOST,PORT), which needs no SQL Server Browser", err)
}
