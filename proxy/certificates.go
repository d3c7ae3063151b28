package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/filewatch"
	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// CertificateFiles names the PEM files of a listener's certificate.
type CertificateFiles struct {
	// Certificate is the server's certificate, with the intermediate ones. Key is its private key. Required.
	Certificate, Key string
	// ClientCA has the roots of clients' certificates. Empty: clients are not asked for a certificate. A client
	// without a certificate is not refused: it may have a key.
	ClientCA string
}

// Certificates are a listener's certificate and its trusted roots. They follow changes of the files. Any number of
// goroutines may use them.
type Certificates struct {
	files   CertificateFiles
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	ends    atomic.Int64 // when the certificate expires, in Unix seconds

	reading           sync.Mutex // held while the files are being read
	serial            string     // owned by reading
	reloads, failures atomic.Uint64
}

// CertificateStats counts the changes of the files.
type CertificateStats struct {
	NotAfter time.Time // when the certificate expires
	Reloads  uint64    // changes that were applied
	Failures uint64    // changes that could not be read; the previous certificate stayed in use
}

// endsSoon is how long before the expiry of a certificate a warning is logged when it is read.
const endsSoon = 14 * 24 * time.Hour

// OpenCertificates reads the files.
func OpenCertificates(files CertificateFiles, logger *slog.Logger) (*Certificates, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{files: files, log: logger}
	return c, c.read()
}

// TLS returns the configuration of a server with these certificates: TLS 1.2 or later, Go's choice of cipher suites,
// and HTTP/2 if the client supports it.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load(), nil
		},
	}
}

// Stats returns the counters.
func (c *Certificates) Stats() CertificateStats {
	return CertificateStats{NotAfter: time.Unix(c.ends.Load(), 0).UTC(), Reloads: c.reloads.Load(), Failures: c.failures.Load()}
}

// Reload reads the files again, for new connections. If they cannot be read, the error says why, and the previous
// certificate stays in use.
func (c *Certificates) Reload() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	before := c.serial
	if err := c.read(); err != nil {
		c.failures.Add(1)
		return err
	}
	if c.serial != before {
		c.reloads.Add(1)
		if e := secretfile.Check(c.files.Key); e != nil {
			c.log.Warn("the certificate's key is exposed", "note", e.Error())
		}
		c.log.Info("certificate reloaded", "file", c.files.Certificate, "serial", c.serial, "not_after", c.Stats().NotAfter)
	}
	return nil
}

// Run reads the files again whenever one has changed, and repeatedly while they cannot be read, until ctx ends.
func (c *Certificates) Run(ctx context.Context) error {
	paths := []string{c.files.Certificate, c.files.Key}
	if c.files.ClientCA != "" {
		paths = append(paths, c.files.ClientCA)
	}
	return filewatch.Run(ctx, c.Reload, func(err error) {
		c.log.Error("the certificate could not be reloaded; the previous one stays in use", "error", err)
	}, paths...)
}

// read reads the files.
func (c *Certificates) read() error {
	if err := secretfile.Refuse(c.files.Key); err != nil {
		return err
	}
	pair, err := textfile.KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("read the certificate %s with the key %s: %w", c.files.Certificate, c.files.Key, err)
	}
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{pair},
	}
	if c.files.ClientCA != "" {
		if cfg.ClientCAs, err = readRoots(c.files.ClientCA); err != nil {
			return err
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
		cfg.SessionTicketsDisabled = true // a ticket would stay valid without its root
	}
	now := time.Now()
	switch left := pair.Leaf.NotAfter.Sub(now); {
	case left < 0:
		c.log.Error("the certificate has expired: clients refuse it", "file", c.files.Certificate, "not_after", pair.Leaf.NotAfter)
	case left < endsSoon:
		c.log.Warn("the certificate expires soon", "file", c.files.Certificate, "not_after", pair.Leaf.NotAfter)
	}
	c.serial = pair.Leaf.SerialNumber.Text(16)
	c.ends.Store(pair.Leaf.NotAfter.Unix())
	c.current.Store(cfg)
	return nil
}

// readRoots reads the certificates that are trusted to sign clients' certificates.
func readRoots(path string) (*x509.CertPool, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read the roots of clients' certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " has no certificate in PEM format (-----BEGIN CERTIFICATE-----)")
	}
	return roots, nil
}
