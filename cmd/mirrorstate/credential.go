package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// keyVariable is the variable with the key that is shown to a server.
const keyVariable = "MIRRORSTATE_KEY"

// credential is what a command shows a server, and how it knows the server.
type credential struct {
	keyFile, caFile string
}

// flagSet is where flags are added.
type flagSet interface {
	StringVar(to *string, name, value, usage string)
}

func (c *credential) add(flags flagSet) {
	flags.StringVar(&c.keyFile, "key-file", "", "a `FILE` with the key to show the server, one line (default: the variable "+keyVariable+")")
	c.addRoots(flags)
}

// addRoots adds what a command needs that shows no key.
func (c *credential) addRoots(flags flagSet) {
	flags.StringVar(&c.caFile, "ca-file", "", "a `FILE` with the roots of the server's certificate, in PEM (default: the system's, or, where the configuration says which server, its certificate)")
}

// fromCaller fills in the variable's key where no file is named, and puts it all into a
// client's configuration.
func (c *credential) fromCaller(cfg *client.Config) error {
	cfg.Key = strings.TrimSpace(textfile.Variable(os.Getenv(keyVariable)))
	return c.fill(cfg)
}

// warnOfKeyFile tells of a --key-file that others can read.
func warnOfKeyFile(cmd *cobra.Command) {
	flag := cmd.Flags().Lookup("key-file")
	if flag == nil {
		return
	}
	if e := secretfile.Check(flag.Value.String()); e != nil && !e.Changeable {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: --key-file: %v\n", e)
	}
}

// fill puts it into a client's configuration.
func (c *credential) fill(cfg *client.Config) error {
	if c.keyFile != "" {
		if err := secretfile.Refuse(c.keyFile); err != nil {
			return misuse("--key-file: %w", err)
		}
		text, err := textfile.Read(c.keyFile)
		if err != nil {
			return misuse("--key-file: %w", err)
		}
		if cfg.Key = strings.TrimSpace(string(text)); cfg.Key == "" || strings.ContainsAny(cfg.Key, " \r\n\t") {
			return misuse("--key-file: %s does not hold one key, on one line", c.keyFile)
		}
	}
	var err error
	cfg.TLS, err = c.roots()
	return err
}

// roots is how a server is known by --ca-file; nil: by the system's roots.
func (c *credential) roots() (*tls.Config, error) {
	if c.caFile == "" {
		return nil, nil
	}
	text, err := textfile.Read(c.caFile)
	if err != nil {
		return nil, misuse("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, misuse("--ca-file: %s holds no certificate in PEM", c.caFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// pinned knows a server by the first certificate in the file, byte for byte.
func pinned(file string) *tls.Config {
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
