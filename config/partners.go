package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Partners describes how to connect to the pair, in whichever way it was configured.
type Partners struct {
	Database    string
	Servers     [2]Server
	Application string   // the application name of the connections
	Workstation string   // empty: the name of this machine
	PacketSize  int      // 0: the driver's default
	Kerberos    Kerberos // for authentication kerberos
	Ignored     []string // keywords of a connection string that have no effect
}

// Server is one of the two servers, with all its values. In its Login, Authentication
// and Encrypt are not empty, and Password is set if there was a password file.
type Server struct {
	Address Address
	SPN     string // for Kerberos; empty: MSSQLSvc/HOST:PORT
	Login
}

// Partners returns the configured pair; false: none is configured, so the pair is the embedded one.
func (c *Config) Partners() (Partners, bool) {
	if c.partners == nil {
		return Partners{}, false
	}
	return *c.partners, true
}

// ParsePair parses an ADO.NET connection string that names both partners. Errors
// never repeat a value, which might be the password.
func ParsePair(s string) (Partners, error) {
	c := Config{Pair: Pair{Source: Source{ConnectionString: NewSecret(s)}}}
	wrong := c.resolve()
	for i := range wrong {
		wrong[i].Key = strings.TrimPrefix(wrong[i].Key, stringKey)
	}
	switch {
	case len(wrong) > 0:
		return Partners{}, wrong
	case c.partners == nil:
		return Partners{}, Mistake{Text: "the connection string is empty"}
	}
	return *c.partners, nil
}

// DriverString returns the driver's connection string for server i, without a database.
func (p Partners) DriverString(i int) Secret {
	s := p.Servers[i]
	var w stringWriter
	w.add("server", hostInstance(s.Address))
	if s.Address.Port != 0 {
		w.add("port", strconv.Itoa(s.Address.Port))
	}
	switch s.Authentication {
	case "windows":
		w.add("authenticator", "winsspi")
	case "ntlm":
		w.add("authenticator", "ntlm")
	case "kerberos":
		w.add("authenticator", "krb5")
		w.addSet("krb5-configfile", p.Kerberos.ConfigFile)
		w.addSet("krb5-realm", p.Kerberos.Realm)
		w.addSet("krb5-keytabfile", p.Kerberos.KeytabFile)
		w.addSet("krb5-credcachefile", p.Kerberos.CredentialCacheFile)
		w.addSet("serverspn", s.SPN)
	}
	w.addSet("user id", s.User)
	w.addSet("password", s.Password.Reveal())
	w.add("encrypt", s.Encrypt)
	// If only the login is encrypted, the driver would verify the certificate.
	// SqlClient does not, and many servers have a self-signed certificate.
	w.add("trustservercertificate", strconv.FormatBool(s.Encrypt == "false" || s.trusting()))
	w.addSet("tlsmin", s.TLSMin)
	if s.Encrypt == "true" || s.Encrypt == "strict" {
		w.addSet("hostnameincertificate", s.HostNameInCertificate)
		w.addSet("certificate", s.CAFile)
		w.addSet("servercertificate", s.CertificateFile)
	}
	w.addSet("app name", p.Application)
	w.addSet("workstation id", p.Workstation)
	if p.PacketSize != 0 {
		w.add("packet size", strconv.Itoa(min(p.PacketSize, 32767))) // the driver's maximum is one less
	}
	return NewSecret(w.String())
}

// trusting reports whether any certificate is accepted.
func (l Login) trusting() bool { return l.TrustServerCertificate != nil && *l.TrustServerCertificate }

// hostInstance returns the address without its port.
func hostInstance(a Address) string { return Address{Host: a.Host, Instance: a.Instance}.String() }

// ConnectionString returns the pair as an ADO.NET connection string for a web.config. ParsePair returns
// the same pair from it if both servers have the same SQL login.
func (p Partners) ConnectionString() Secret {
	a, b := p.Servers[0], p.Servers[1]
	w := stringWriter{dotnet: true}
	w.add("Data Source", a.Address.String())
	w.add("Failover Partner", b.Address.String())
	w.add("Initial Catalog", p.Database)
	if a.Authentication == "sql" {
		w.add("User ID", a.User)
		w.add("Password", a.Password.Reveal())
	} else {
		w.add("Integrated Security", "SSPI")
	}
	if a.Encrypt != "false" {
		w.add("Encrypt", strings.ToUpper(a.Encrypt[:1])+a.Encrypt[1:])
	}
	if a.TrustServerCertificate != nil {
		w.add("TrustServerCertificate", strconv.FormatBool(*a.TrustServerCertificate))
	}
	w.addSet("HostNameInCertificate", a.HostNameInCertificate)
	w.addSet("ServerCertificate", a.CertificateFile)
	w.addSet("Server SPN", a.SPN)
	w.addSet("Failover Partner SPN", b.SPN)
	if p.Application != ApplicationName {
		w.add("Application Name", p.Application)
	}
	w.addSet("Workstation ID", p.Workstation)
	if p.PacketSize != 0 {
		w.add("Packet Size", strconv.Itoa(p.PacketSize))
	}
	return NewSecret(w.String())
}

// stringWriter writes keywords with their values.
type stringWriter struct {
	strings.Builder
	dotnet bool // for SqlClient; else for the driver, which supports only double quotes
}

func (w *stringWriter) add(keyword, value string) {
	if w.Len() > 0 {
		w.WriteByte(';')
	}
	if w.dotnet {
		value = quoteValue(value)
	} else {
		value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
	}
	fmt.Fprintf(w, "%s=%s", keyword, value)
}

// addSet adds a value that is not empty.
func (w *stringWriter) addSet(keyword, value string) {
	if value != "" {
		w.add(keyword, value)
	}
}
