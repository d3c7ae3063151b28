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

// CertificateFiles are where a listener's certificate is, in PEM.
type CertificateFiles struct {
	// Certificate is the server's, with those between it and its root; Key its private key. Required.
	Certificate, Key string
	// ClientCA holds the roots of clients' certificates. Empty: none is asked for. A client
	// that shows none is not refused: it may have a key.
	ClientCA string
}

// Certificates are a listener's certificate and the roots it believes, as the files are now.
// Any number of goroutines may use them.
type Certificates struct {
	files   CertificateFiles
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	ends    atomic.Int64 // Unix seconds: when the certificate does

	reading           sync.Mutex // held while the files are read
	serial            string     // owned by reading
	reloads, failures atomic.Uint64
}

// CertificateStats count what became of changes of the files.
type CertificateStats struct {
	NotAfter time.Time // the end of the certificate
	Reloads  uint64    // changes that were read
	Failures uint64    // readings that failed; what was there before stayed
}

// endsSoon is how long before a certificate's end its reading warns.
const endsSoon = 14 * 24 * time.Hour

// OpenCertificates reads the files.
func OpenCertificates(files CertificateFiles, logger *slog.Logger) (*Certificates, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{files: files, log: logger}
	return c, c.read()
}

// TLS is how a server speaks with them: TLS 1.2 or later, Go's choice of suites, HTTP/2
// where the client knows it.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load(), nil
		},
	}
}

// Stats reads the counters.
func (c *Certificates) Stats() CertificateStats {
	return CertificateStats{NotAfter: time.Unix(c.ends.Load(), 0).UTC(), Reloads: c.reloads.Load(), Failures: c.failures.Load()}
}

// Reload reads the files again, for the connections to come. If they can't be read, what was
// there stays, and the error says why.
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
		c.log.Info("certificate read again", "file", c.files.Certificate, "serial", c.serial, "not_after", c.Stats().NotAfter)
	}
	return nil
}

// Run reads the files again whenever one has changed, and while they can't be read, until ctx ends.
func (c *Certificates) Run(ctx context.Context) error {
	paths := []string{c.files.Certificate, c.files.Key}
	if c.files.ClientCA != "" {
		paths = append(paths, c.files.ClientCA)
	}
	return filewatch.Run(ctx, c.Reload, func(err error) {
		c.log.Error("the certificate could not be read again; the one before stays", "error", err)
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
		cfg.SessionTicketsDisabled = true // a ticket would outlive its root
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

// readRoots reads the certificates of those whose word is good for clients.
func readRoots(path string) (*x509.CertPool, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read the roots of clients' certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}
