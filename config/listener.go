package config

import (
	"regexp"
	"strings"
)

// Listener is an address to listen on, and how to speak there.
type Listener struct {
	// Listen is host:port. Defaults: 127.0.0.1:8080 (api), 127.0.0.1:8081 (admin).
	Listen string `yaml:"listen"`
	// TLS encrypts it. Without a certificate everything crosses the network in the clear.
	TLS TLS `yaml:"tls"`
	// Hosts are names under which it may be asked, beside localhost and any address. Others are
	// refused, for browsers can be talked into asking: on the operators' listener always, on the
	// API's while auth.keys_file is not set.
	Hosts []string `yaml:"hosts"`
}

// API is the listener web applications call.
type API struct {
	Listener `yaml:",inline"`
	// BasePath is the path under which a reverse proxy offers the API, if it takes it off before it passes a
	// request on. It is put before the paths in answers: the header Location, and the contract's servers.
	BasePath string `yaml:"base_path"`
}

// basePath is one or more segments. A dot at the beginning of one would be taken away by those who resolve paths.
var basePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// isBasePath reports whether a text is a path to be put before others, or empty.
func isBasePath(s string) bool { return basePath.MatchString(s) }

// TLS is a listener's certificate. The files are read again when they have changed.
type TLS struct {
	// CertificateFile holds the server's certificate and those between it and its root, in PEM.
	CertificateFile string `yaml:"certificate_file"`
	// KeyFile holds its private key, in PEM.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile holds the roots of clients' certificates, in PEM. A client that shows a certificate
	// of theirs has the rights of the entry with its name in auth.keys_file.
	ClientCAFile string `yaml:"client_ca_file"`
}

// On says whether there is a certificate.
func (t TLS) On() bool { return t.CertificateFile != "" }

// Auth says who is let in.
type Auth struct {
	// KeysFile holds the keys, and certificates' names, that are let in, as mirrorstate key
	// writes it. It is read again when it has changed. Empty: whoever reaches the
	// listeners is let in, and they must be on loopback.
	KeysFile string `yaml:"keys_file"`
	// Insecure lets listeners without authentication be reached from other machines.
	Insecure bool `yaml:"insecure"`
}

// validate tells what is wrong with a listener's certificate.
func (t TLS) validate(key string, auth Auth, bad func(is bool, key, format string, args ...any)) {
	bad(t.CertificateFile != "" && t.KeyFile == "", key+".key_file", "is missing; name the file with the certificate's private key")
	bad(t.KeyFile != "" && t.CertificateFile == "", key+".certificate_file", "is missing; name the file with the key's certificate")
	bad(t.ClientCAFile != "" && !t.On(), key+".client_ca_file", "needs a server's certificate too; name it with certificate_file")
	bad(t.ClientCAFile != "" && auth.KeysFile == "", key+".client_ca_file", "needs auth.keys_file, which says what a certificate's name is good for")
}

// validateHosts tells what is wrong with a listener's names.
func (l Listener) validateHosts(key string, bad func(is bool, key, format string, args ...any)) {
	for _, host := range l.Hosts {
		bad(host == "" || strings.ContainsAny(host, "/ *"), key+".hosts", "%q is not a host's name, such as state1.example.net", host)
	}
}
