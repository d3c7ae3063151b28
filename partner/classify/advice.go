package classify

import (
	"fmt"
	"strings"
)

// oldTLS is what to do about a server that speaks no newer TLS than 1.1.
const oldTLS = "the server speaks TLS 1.0 or 1.1 only: install Microsoft's TLS 1.2 update for SQL Server there, or say tls_min: \"1.0\""

// refusals are the ways a certificate is not believed, and what an operator can do about
// each. The driver flattens most of these errors to text, so the words are looked for.
// Source: crypto/x509's verify.go, go-mssqldb's tds.go and msdsn; those of the handshake were seen.
var certificateErrors = []struct{ says, advice string }{
	{"signed by unknown authority", "nobody this machine believes has signed the certificate (SQL Server makes itself one if it was given none): " +
		"name the root with ca_file, or pin the server's own certificate with certificate_file"},
	{"is not trusted", "nobody this machine believes has signed the certificate: name the root with ca_file, or pin the certificate with certificate_file"},
	{"has expired or is not yet valid", "have the certificate renewed, or set this machine's clock; certificate_file takes one whatever its date"},
	{"doesn't contain any IP SANs", "the certificate is for a name and not for an address: say which name with host_name_in_certificate, or give the name as the server's address"},
	{"legacy Common Name field", "the certificate has no names but its common name, which is not looked at any more: pin it with certificate_file"},
	{"certificate is valid for", "the certificate is for another name: say which with host_name_in_certificate"},
	{"is not valid for any names", "the certificate is for no name at all: pin it with certificate_file"},
	{"invalid certificate name", "the certificate is for another name: say which with host_name_in_certificate"},
	{"doesn't match the provided certificate", "the server shows another certificate than the one in certificate_file: if it was renewed, put the new one there"},
	{"protocol version not supported", oldTLS},
	{"unsupported protocol version", oldTLS},
	{"tls: handshake failure", "the server offers only what Go's TLS refuses (RSA key exchange, 3DES, SHA-1): enable ECDHE and SHA-256 there, or see the page about the configuration, What Go's TLS refuses"},
	{"x509: ", "the certificate does not verify: see the page about the configuration, TLS"},
	{"server does not support encryption", "the server does not encrypt at all: give it a certificate, or say encrypt: disable and let the password cross the network in the clear"},
}

// Advised returns err with what to do about it, if it is about a certificate or a named instance that was not found.
func WithAdvice(err error) error {
	if advice := certificateAdvice(err); advice != "" {
		err = fmt.Errorf("%w; %s", err, advice)
	}
	return withBrowserAdvice(err)
}

// certificateAdvice says what to do about a certificate that is not believed; empty: err is
// about something else.
func certificateAdvice(err error) string {
	text := err.Error()
	for _, r := range certificateErrors {
		if strings.Contains(text, r.says) {
			return r.advice
		}
	}
	return ""
}

// noInstance is what the driver says where SQL Server Browser did not answer, or does not know the instance: it does
// not tell the two apart, and drops the reason.
// Source: go-mssqldb's protocol.go, seen.
const noInstance = "no instance matching"

// advisedOfBrowser is err, and what to do about it if a named instance was not found.
func withBrowserAdvice(err error) error {
	if err == nil || !strings.Contains(err.Error(), noInstance) {
		return err
	}
	return fmt.Errorf("%w; SQL Server Browser did not answer, or does not know that instance: start the service there and open UDP port 1434 to it, or give the instance's port, HOST,PORT, which needs no Browser", err)
}
