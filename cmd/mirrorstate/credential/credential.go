// Package credential holds the key that a command sends to a server, and the certificates by which it authenticates the
// server: the flags --key-file and --ca-file, and the variable MIRRORSTATE_KEY.
package credential

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// Variable is the environment variable with the key to send to a server.
const Variable = "MIRRORSTATE_KEY"

// Files are the files of --key-file and --ca-file. An empty name means that the flag is not set.
type Files struct {
	KeyFile, CAFile string
}

// FlagSet is a set of flags, such as that of pflag.
type FlagSet interface {
	StringVar(to *string, name, value, usage string)
}

// Add adds --key-file and --ca-file.
func (c *Files) Add(flags FlagSet) {
	flags.StringVar(&c.KeyFile, "key-file", "", "the `FILE` with the key to send to the server, one line (default: the variable "+Variable+")")
	c.AddRoots(flags)
}

// AddRoots adds --ca-file, for a command that sends no key.
func (c *Files) AddRoots(flags FlagSet) {
	flags.StringVar(&c.CAFile, "ca-file", "", "the `FILE` with the root certificates for the server, in PEM (default: the system's; for a server named by the configuration, its own certificate)")
}

// FromCaller sets the key and the roots in a client's configuration. Without --key-file it takes the key of the
// variable.
func (c *Files) FromCaller(cfg *client.Config) error {
	cfg.Key = strings.TrimSpace(textfile.Variable(os.Getenv(Variable)))
	return c.Fill(cfg)
}

// Fill sets the key and the roots of the files in a client's configuration.
func (c *Files) Fill(cfg *client.Config) error {
	if c.KeyFile != "" {
		if err := secretfile.Refuse(c.KeyFile); err != nil {
			return usage.Errorf("--key-file: %w", err)
		}
		text, err := textfile.Read(c.KeyFile)
		if err != nil {
			return usage.Errorf("--key-file: %w", err)
		}
		if cfg.Key = strings.TrimSpace(string(text)); cfg.Key == "" || strings.ContainsAny(cfg.Key, " \r\n\t") {
			return usage.Errorf("--key-file: %s must hold one key on one line", c.KeyFile)
		}
	}
	var err error
	cfg.TLS, err = c.Roots()
	return err
}

// Roots returns the TLS settings with the roots of --ca-file; nil for the system's roots.
func (c *Files) Roots() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := textfile.Read(c.CAFile)
	if err != nil {
		return nil, usage.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, usage.Errorf("--ca-file: %s holds no certificate in PEM", c.CAFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// Pinned returns TLS settings that accept exactly one certificate: the first one in the file, compared byte for byte.
func Pinned(file string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection compares the certificate instead
		VerifyConnection: func(shown tls.ConnectionState) error {
			text, err := textfile.Read(file)
			if err != nil {
				return fmt.Errorf("%w; or name the roots with --ca-file", err)
			}
			own, rest := pem.Decode(text)
			for own != nil && own.Type != "CERTIFICATE" { // the file may begin with the key
				own, rest = pem.Decode(rest)
			}
			if own == nil || !bytes.Equal(own.Bytes, shown.PeerCertificates[0].Raw) {
				return fmt.Errorf("the server's certificate is not the one in %s; for another server pass --admin and --ca-file", file)
			}
			return nil
		},
	}
}
