package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// keyVariable is the variable with the key that is shown to a server.
const keyVariable = "MIRRORSTATE_KEY"

// credential is what a command shows a server, and how it knows the server.
type credential struct {
	keyFile, caFile string
}

func (c *credential) add(flags interface {
	StringVar(to *string, name, value, usage string)
}) {
	flags.StringVar(&c.keyFile, "key-file", "", "a `FILE` with the key to show the server, one line (default: the variable "+keyVariable+")")
	flags.StringVar(&c.caFile, "ca-file", "", "a `FILE` with the roots of the server's certificate, in PEM (default: the system's)")
}

// fromCaller fills in the variable's key where no file is named, and puts it all into a
// client's configuration.
func (c *credential) fromCaller(cfg *client.Config) error {
	cfg.Key = strings.TrimSpace(os.Getenv(keyVariable))
	return c.fill(cfg)
}

// fill puts it into a client's configuration.
func (c *credential) fill(cfg *client.Config) error {
	if c.keyFile != "" {
		text, err := os.ReadFile(c.keyFile)
		if err != nil {
			return misuse("--key-file: %w", err)
		}
		if cfg.Key = strings.TrimSpace(string(text)); cfg.Key == "" || strings.ContainsAny(cfg.Key, " \r\n\t") {
			return misuse("--key-file: %s does not hold one key, on one line", c.keyFile)
		}
	}
	if c.caFile == "" {
		return nil
	}
	text, err := os.ReadFile(c.caFile)
	if err != nil {
		return misuse("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return misuse("--ca-file: %s holds no certificate in PEM", c.caFile)
	}
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return nil
}
