package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// Pair is the two partners and the link between them. Its methods are safe for
// concurrent use.
type Pair struct {
	*mirror.Pair
	servers [2]*Partner
}

// Open opens the pair's data and ports, and determines which partner is the principal:
// partner a of a new pair, otherwise the partner with the most recent role change. The
// pair serves no client before Run. The error says what to do.
func Open(o mirror.Options) (*Pair, error) {
	if err := tsql.RegisterFunctions(); err != nil {
		return nil, fmt.Errorf("register SQL functions: %w", err)
	}
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	p := &Pair{}
	p.Pair, err = mirror.OpenInstances(&o, mirror.Service{
		Server: func(i *mirror.Instance) *tds.Server {
			s := &Partner{Instance: i}
			p.servers[i.Index()] = s
			return &tds.Server{Handler: s, TLS: cert, Logger: i.Log, MaxConnections: o.MaxConnections}
		},
		Schema: func(d *mirror.Database) (bool, error) { return p.servers[d.Instance.Index()].createSchema(d, o.Schema) },
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Partner returns the partner of that name, "a" or "b"; nil for any other name.
func (p *Pair) Partner(name string) *Partner {
	for _, partner := range p.servers {
		if partner.Letter == name {
			return partner
		}
	}
	return nil
}

// certificate creates a self-signed certificate for this start. No client can verify
// it: it encrypts a connection, and is not needed on loopback.
func certificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "mirrorstate embedded pair"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}
