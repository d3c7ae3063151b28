// Package credential is what a command shows a server, and how it knows the server: the flags --key-file and --ca-file, and
// the variable MIRRORSTATE_KEY.
package credential

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// Variable is the variable with the key that is shown to a server.
const Variable = "MIRRORSTATE_KEY"

// Files are what a command shows a server, and how it knows the server.
type Files struct {
	KeyFile, CAFile string
}

// FlagSet is where flags are added.
type FlagSet interface {
	StringVar(to *string, name, value, usage string)
}

// Add adds the flags.
func (c *Files) Add(flags FlagSet) {
	flags.StringVar(&c.KeyFile, "key-file", "", "a `FILE` with the key to show the server, one line (default: the variable "+Variable+")")
	c.AddRoots(flags)
}

// AddRoots adds what a command needs that shows no key.
func (c *Files) AddRoots(flags FlagSet) {
	flags.StringVar(&c.CAFile, "ca-file", "", "a `FILE` with the roots of the server's certificate, in PEM (default: the system's, or, where the configuration says which server, its certificate)")
}

// FromCaller fills in the variable's key where no file is named, and puts it all into a
// client's configuration.
func (c *Files) FromCaller(cfg *client.Config) error {
	cfg.Key = strings.TrimSpace(textfile.Variable(os.Getenv(Variable)))
	return c.Fill(cfg)
}

// Fill puts it into a client's configuration.
func (c *Files) Fill(cfg *client.Config) error {
	if c.KeyFile != "" {
		if err := secretfile.Refuse(c.KeyFile); err != nil {
			return misuse.Errorf("--key-file: %w", err)
		}
		text, err := textfile.Read(c.KeyFile)
		if err != nil {
			return misuse.Errorf("--key-file: %w", err)
		}
		if cfg.Key = strings.TrimSpace(string(text)); cfg.Key == "" || strings.ContainsAny(cfg.Key, " \r\n\t") {
			return misuse.Errorf("--key-file: %s does not hold one key, on one line", c.KeyFile)
		}
	}
	var err error
	cfg.TLS, err = c.Roots()
	return err
}

// Roots is how a server is known by --ca-file; nil: by the system's roots.
func (c *Files) Roots() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := textfile.Read(c.CAFile)
	if err != nil {
		return nil, misuse.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, misuse.Errorf("--ca-file: %s holds no certificate in PEM", c.CAFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// Pinned knows a server by the first certificate in the file, byte for byte.
func Pinned(file string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the certificate itself is compared instead
		VerifyConnection: func(shown tls.ConnectionState) error {
			text, err := textfile.Read(file)
			if err != nil {
				return fmt.Errorf("%w; or say --ca-file", err)
			}
			own, rest := pem.Decode(text)
			for own != nil && own.Type != "CERTIFICATE" { // its key may stand before it
				own, rest = pem.Decode(rest)
			}
			if own == nil || !bytes.Equal(own.Bytes, shown.PeerCertificates[0].Raw) {
				return fmt.Errorf("the server's certificate is not the one in %s; if it is another server, say --admin and --ca-file", file)
			}
			return nil
		},
	}
}
