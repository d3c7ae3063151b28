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

// A SQL Server without a certificate makes one for itself. Older versions give it a negative serial number,
// which Go refuses by default. It does so in every mode, because it reads the certificate before it verifies
// it.
func TestConnector_AcceptsANegativeSerialNumber(t *testing.T) {
	cert := negativeSerial(t)
	own := filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(own, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	port := loginServer(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	for name, settings := range map[string]string{
		"encrypt, trust the server certificate": "encrypt=true;trustservercertificate=true",
		"encrypt, pinned certificate":           "encrypt=true;trustservercertificate=false;servercertificate=" + own,
		"encrypt, certificate as root":          "encrypt=true;trustservercertificate=false;certificate=" + own,
		"encrypt only the login":                "encrypt=false;trustservercertificate=true",
		"strict, pinned certificate":            "encrypt=strict;servercertificate=" + own,
	} {
		t.Run(name, func(t *testing.T) {
			dsn, err := msdsn.Parse("server=localhost;user id=u;password=p;" + settings)
			if err != nil {
				t.Fatal(err)
			}
			dsn.Port = port
			c, err := newConnector(choose.A, dsn, "ASPState", Budgets{}.WithDefaults()).Connect(t.Context())
			if err != nil {
				t.Fatalf("the certificate is refused: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// negativeSerial returns a certificate for localhost with a negative serial number. Go cannot make one. So the
// function makes a normal one, sets the first bit of the serial number, and signs it again.
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

// loginServer serves logins on loopback until the test ends, and returns the port.
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

// anybody accepts every login, and answers every batch with an empty result.
type anybody struct{ tds.Session }

func (anybody) Login(_ context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	return anybody{}, tds.LoginReply{ServerName: "SQL1", Database: l.Database}, nil
}

func (anybody) Batch(context.Context, string, *tds.Response) error { return nil }
func (anybody) Close()                                             {}
