// Package certtest makes certificates for tests, and encodes texts as Windows programs do.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// AsWindowsSaves are the encodings in which editors and shells save an ASCII text.
var AsWindowsSaves = map[string]func(string) string{
	"plain":             func(s string) string { return s },
	"UTF-8 with a mark": func(s string) string { return "\xef\xbb\xbf" + s + "\r\n" },
	"UTF-16": func(s string) string {
		var b strings.Builder
		b.WriteString("\xff\xfe")
		for _, c := range []byte(s + "\r\n") {
			b.Write([]byte{c, 0})
		}
		return b.String()
	},
}

// SelfMade returns a self-signed certificate for localhost, also in PEM.
func SelfMade(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Handshake does a TLS handshake with a server that has the certificate, and returns the client's error.
func Handshake(t *testing.T, own tls.Certificate, cfg *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{own}}).HandshakeContext(t.Context())
		_ = far.Close()
	}()
	_ = near.SetDeadline(time.Now().Add(10 * time.Second))
	err := tls.Client(near, cfg).HandshakeContext(t.Context())
	_ = near.Close()
	<-ended
	return err
}

// Files writes a certificate for this machine and its key to files, and returns the TLS settings of a client that
// trusts it.
func Files(t *testing.T) (certificate, key string, known *tls.Config) {
	t.Helper()
	own, text := SelfMade(t)
	private, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string][]byte{certificate: []byte(text), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	return certificate, key, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}
