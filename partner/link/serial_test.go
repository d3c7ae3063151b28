package link

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// A SQL Server that was given no certificate makes one for itself, and the older ones give it a serial number below
// zero, which Go refuses by default: in every mode, for the certificate is read before anybody asks who believes it.
func TestConnector_NegativeSerial(t *testing.T) {
	cert := negativeSerial(t)
	own := filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(own, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	port := loginServer(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	for name, settings := range map[string]string{
		"encrypt, trusting":   "encrypt=true;trustservercertificate=true",
		"encrypt, by its own": "encrypt=true;trustservercertificate=false;servercertificate=" + own,
		"encrypt, by a root":  "encrypt=true;trustservercertificate=false;certificate=" + own,
		"the login only":      "encrypt=false;trustservercertificate=true",
		"strict, by its own":  "encrypt=strict;servercertificate=" + own,
	} {
		t.Run(name, func(t *testing.T) {
			dsn, err := msdsn.Parse("server=localhost;user id=u;password=p;" + settings)
			if err != nil {
				t.Fatal(err)
			}
			dsn.Port = port
			c, err := newConnector(choose.A, dsn, "ASPState", Budgets{}.WithDefaults()).Connect(t.Context())
			if err != nil {
				t.Fatalf("its certificate is refused: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// negativeSerial makes a certificate for localhost as Go itself makes none: it makes one, sets the
// first bit of the serial number, and signs it again.
func negativeSerial(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial := []byte{0x51, 0x4c, 0x53, 0x65, 0x72, 0x76, 0x65, 0x72}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: "SSL_Self_Signed_Fallback"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		Body      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(parts.Body.FullBytes, serial)
	parts.Body.FullBytes[at] |= 0x80
	digest := sha256.Sum256(parts.Body.FullBytes)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if der, err = asn1.Marshal(parts); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// loginServer serves logins on loopback until the test ends, and gives the port.
func loginServer(t *testing.T, cfg *tls.Config) uint64 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := &tds.Server{Handler: anybody{}, TLS: cfg}
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return uint64(ln.Addr().(*net.TCPAddr).Port)
}

// anybody lets everybody log in, and answers every batch with nothing.
type anybody struct{ tds.Session }

func (anybody) Login(_ context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	return anybody{}, tds.LoginReply{ServerName: "SQL1", Database: l.Database}, nil
}

func (anybody) Batch(context.Context, string, *tds.Response) error { return nil }
func (anybody) Close()                                             {}
