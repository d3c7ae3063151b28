package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Partners is the pair as it is reached, whichever way it was given.
type Partners struct {
	Database    string
	Servers     [2]Server
	Application string   // the name our connections go under
	Workstation string   // empty: this machine's
	PacketSize  int      // 0: the driver's
	Kerberos    Kerberos // for authentication kerberos
	Ignored     []string // keywords of a connection string that mean nothing here
}

// Server is one of the two, with everything said of it. Its Login has no empty Authentication
// and no empty Encrypt, and its password is read from the file of one.
type Server struct {
	Address Address
	SPN     string // for Kerberos; empty: made of host and port
	Login
}

// Partners gives the pair that was configured; false: none was, so it is the embedded one.
func (c *Config) Partners() (Partners, bool) {
	if c.partners == nil {
		return Partners{}, false
	}
	return *c.partners, true
}

// ParsePair reads an ADO.NET connection string that names both partners. Errors
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

// DriverString is how the driver is told to reach server i: its connection string, in the driver's
// words and without a database.
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
		w.addSaid("krb5-configfile", p.Kerberos.ConfigFile)
		w.addSaid("krb5-realm", p.Kerberos.Realm)
		w.addSaid("krb5-keytabfile", p.Kerberos.KeytabFile)
		w.addSaid("krb5-credcachefile", p.Kerberos.CredentialCacheFile)
		w.addSaid("serverspn", s.SPN)
	}
	w.addSaid("user id", s.User)
	w.addSaid("password", s.Password.Reveal())
	w.add("encrypt", s.Encrypt)
	// The driver would verify the certificate of a server to which only the login is encrypted;
	// SqlClient does not, and many such servers have one that they signed themselves.
	w.add("trustservercertificate", strconv.FormatBool(s.Encrypt == "false" || s.trusting()))
	w.addSaid("tlsmin", s.TLSMin)
	if s.Encrypt == "true" || s.Encrypt == "strict" {
		w.addSaid("hostnameincertificate", s.HostNameInCertificate)
		w.addSaid("certificate", s.CAFile)
		w.addSaid("servercertificate", s.CertificateFile)
	}
	w.addSaid("app name", p.Application)
	w.addSaid("workstation id", p.Workstation)
	if p.PacketSize != 0 {
		w.add("packet size", strconv.Itoa(min(p.PacketSize, 32767))) // the driver's most is one less
	}
	return NewSecret(w.String())
}

// trusting says whether any certificate is taken.
func (l Login) trusting() bool { return l.TrustServerCertificate != nil && *l.TrustServerCertificate }

// hostInstance is the server without its port.
func hostInstance(a Address) string { return Address{Host: a.Host, Instance: a.Instance}.String() }

// ConnectionString writes the pair as ADO.NET does, for a web.config; what ParsePair reads of it is
// the pair again, as long as both logins are the same and SQL Server's own.
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
	w.addSaid("HostNameInCertificate", a.HostNameInCertificate)
	w.addSaid("ServerCertificate", a.CertificateFile)
	w.addSaid("Server SPN", a.SPN)
	w.addSaid("Failover Partner SPN", b.SPN)
	if p.Application != ApplicationName {
		w.add("Application Name", p.Application)
	}
	w.addSaid("Workstation ID", p.Workstation)
	if p.PacketSize != 0 {
		w.add("Packet Size", strconv.Itoa(p.PacketSize))
	}
	return NewSecret(w.String())
}

// stringWriter puts keywords and values one after the other.
type stringWriter struct {
	strings.Builder
	dotnet bool // for SqlClient; else for the driver, which knows double quotes only
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

// addSaid adds what is not empty.
func (w *stringWriter) addSaid(keyword, value string) {
	if value != "" {
		w.add(keyword, value)
	}
}
