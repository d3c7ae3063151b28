package config

import (
	"regexp"
	"strings"
)

// Listener configures a listener: its address, TLS, and names.
type Listener struct {
	// Listen is host:port. Defaults: 127.0.0.1:8080 (api), 127.0.0.1:8081 (admin).
	Listen string `yaml:"listen"`
	// TLS encrypts the connections. Without a certificate they are not encrypted.
	TLS TLS `yaml:"tls"`
	// Hosts are names that requests may use for this server, besides localhost and any IP address. Other names are
	// refused, because a web page can make a browser send requests. The operators' listener always checks this,
	// the API's only while auth.keys_file is not set.
	Hosts []string `yaml:"hosts"`
}

// API configures the listener for web applications.
type API struct {
	Listener `yaml:",inline"`
	// BasePath is the path of the API at a reverse proxy that removes this path from requests.
	// It is added to the paths in answers: in the header Location, and in the servers of the OpenAPI contract.
	BasePath string `yaml:"base_path"`
}

// basePath matches any number of segments. No segment may begin with a dot, because clients resolve such segments.
var basePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// isBasePath reports whether a text is empty or a valid base path.
func isBasePath(s string) bool { return basePath.MatchString(s) }

// TLS configures a listener's certificate. The files are read again when they change.
type TLS struct {
	// CertificateFile holds the server's certificate and its intermediate certificates, in PEM.
	CertificateFile string `yaml:"certificate_file"`
	// KeyFile holds its private key, in PEM.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile holds the root certificates for clients' certificates, in PEM. A client with such a certificate
	// has the rights of the entry with the certificate's name in auth.keys_file.
	ClientCAFile string `yaml:"client_ca_file"`
}

// On reports whether there is a certificate.
func (t TLS) On() bool { return t.CertificateFile != "" }

// Auth configures the authentication of callers.
type Auth struct {
	// KeysFile holds the valid keys and names of certificates. mirrorstate key writes it. It is
	// read again when it changes. Empty: there is no authentication, and the listeners must be on
	// loopback, where any local user has access.
	KeysFile string `yaml:"keys_file"`
	// Insecure allows listeners without authentication on addresses that other machines can reach.
	Insecure bool `yaml:"insecure"`
}

// validate reports mistakes in a listener's certificate to bad.
func (t TLS) validate(key string, auth Auth, bad func(is bool, key, format string, args ...any)) {
	bad(t.CertificateFile != "" && t.KeyFile == "", key+".key_file", "is missing; name the file with the certificate's private key")
	bad(t.KeyFile != "" && t.CertificateFile == "", key+".certificate_file", "is missing; name the file with the key's certificate")
	bad(t.ClientCAFile != "" && !t.On(), key+".client_ca_file", "requires a server certificate; name it with certificate_file")
	bad(t.ClientCAFile != "" && auth.KeysFile == "", key+".client_ca_file", "requires auth.keys_file, which has the rights of each certificate's name")
}

// validateHosts reports invalid names of a listener to bad.
func (l Listener) validateHosts(key string, bad func(is bool, key, format string, args ...any)) {
	for _, host := range l.Hosts {
		bad(host == "" || strings.ContainsAny(host, "/ *"), key+".hosts", "%q is not a host name, such as state1.example.net", host)
	}
}
