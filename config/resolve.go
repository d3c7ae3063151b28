package config

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/sqlname"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// ApplicationName is the default application name of connections to SQL Server.
const ApplicationName = "mirrorstate"

// stringKey is the key that holds a connection string.
const stringKey = "pair.connection_string"

// resolve sets the partners from the connection string, the web.config or the two partners that the configuration has.
func (c *Config) resolve() Mistakes {
	r := resolver{Config: c, source: c.Pair.Source, key: stringKey, what: "connection string"}
	p := r.partners()
	if len(r.wrong) == 0 {
		c.partners = p
	}
	return r.wrong
}

// resolver is the state of resolve.
type resolver struct {
	*Config
	source Source
	key    string // the key of the connection string, or of the web.config that has it
	what   string // its name in errors, with file and line if it is in a web.config
	wrong  Mistakes
}

// bad adds a mistake. If the key was not set, its value comes from the connection string or the web.config.
func (r *resolver) bad(is bool, key, format string, args ...any) {
	if !is {
		return
	}
	m := r.mistake(key, fmt.Sprintf(format, args...))
	if from := r.from[r.key]; from != "" && r.from[key] == "" {
		m.From = from
	}
	r.wrong = append(r.wrong, m)
}

// partners returns the pair; nil: no pair is configured, or there was a mistake.
func (r *resolver) partners() *Partners {
	web := r.webConfig()
	byName := r.source.A != (Partner{}) || r.source.B != (Partner{})
	byString := !r.source.ConnectionString.IsZero()
	switch {
	case len(r.wrong) > 0:
		return nil
	case byName && byString:
		r.bad(true, r.key, "the pair is set twice, here and with pair.a and pair.b; remove one")
		return nil
	case !byName && !byString:
		if web != nil {
			r.bad(true, "pair.web_config", "%s; set the pair too, with pair.connection_string or pair.a.address and pair.b.address", web.namesNone())
		} else {
			r.lonePassword()
		}
		r.bad(web == nil && r.setKey() != "", r.setKey(), "is set, but no servers are named; set pair.connection_string, pair.web_config, or pair.a.address and pair.b.address")
		return nil
	case byString:
		return r.fromString()
	}
	p := &Partners{Database: r.source.Database, Application: ApplicationName, Kerberos: r.source.Kerberos}
	for i, partner := range []Partner{r.source.A, r.source.B} {
		s := Server{SPN: partner.ServerSPN, Login: partner.Login.orElse(r.source.Login)}
		r.bad(partner.Address == "", r.keyOf(i, "address"), "is missing; name both servers, as HOST, HOST\\INSTANCE or HOST:PORT")
		if partner.Address != "" {
			r.address(&s, partner.Address, r.keyOf(i, "address"), "")
		}
		orDefault(&s.Encrypt, "true")
		p.Servers[i] = s
	}
	return r.finish(p)
}

// lonePassword ignores the environment's password if no servers are named. A user may export the password for some
// commands and run others; commands that need a pair report themselves that there is none.
func (r *resolver) lonePassword() {
	fromEnvironment := func(key string) bool { return strings.HasPrefix(r.from[key], "environment ") }
	if key := "pair.password"; fromEnvironment(key) && !r.source.Password.IsZero() {
		r.source.Password = Secret{}
		r.note(Variable(key) + " is not used: no servers are named")
	}
	if key := "pair.password_file"; fromEnvironment(key) && r.source.PasswordFile != "" {
		r.source.PasswordFile = ""
		r.note(Variable(key) + " is not used: no servers are named")
	}
}

// setKey returns the first key that is set for the pair's servers, or "".
func (r *resolver) setKey() (first string) {
	walk("pair.", reflect.ValueOf(&r.source).Elem(), func(key string, v reflect.Value) {
		if first == "" && !v.IsZero() && key != "pair.web_config" && key != "pair.web_config_location" {
			first = key
		}
	})
	return first
}

// keyOf returns the key that sets a partner's value: the partner's, or the pair's.
func (r *resolver) keyOf(i int, name string) string {
	own := "pair." + string(rune('a'+i)) + "." + name
	if r.from[own] != "" || name == "address" {
		return own
	}
	return "pair." + name
}

// fromString returns the partners in the connection string, with the keys that override it.
func (r *resolver) fromString() *Partners {
	d, err := readConnectionString(r.source.ConnectionString.Reveal())
	if err != nil {
		r.bad(true, r.key, "%s: %v", r.what, err)
		return nil
	}
	if d.windows {
		// .NET ignores the user in the string then. Keys outside the string apply.
		d.source.User, d.source.Password = "", Secret{}
		if r.source.User == "" && r.source.Authentication == "" && r.source.Kerberos == (Kerberos{}) {
			d.source.Authentication = "windows"
		}
	}
	p := &Partners{Database: r.source.Database, Application: d.app, Workstation: d.station, PacketSize: d.packet, Kerberos: r.source.Kerberos, Ignored: d.ignored}
	orDefault(&p.Database, d.source.Database)
	orDefault(&p.Application, ApplicationName)
	for i := range p.Servers {
		s := Server{SPN: d.spn[i], Login: r.source.Login.orElse(d.source.Login)}
		r.address(&s, d.servers[i], r.key, r.what+": "+[]string{"data source", "failover partner"}[i]+" ")
		s.Encrypt = cmp.Or(s.Encrypt, encryptByDefault(s.Address))
		p.Servers[i] = s
	}
	if len(d.ignored) > 0 {
		r.note("connection string: not used here, because mirrorstate has its own pool and timeouts: " + strings.Join(d.ignored, ", "))
	}
	return r.finish(p)
}

// address parses the address of a server.
func (r *resolver) address(s *Server, text, key, what string) {
	a, err := ParseAddress(text)
	if err != nil {
		r.bad(true, key, "%s%v", what, err)
		return
	}
	s.Address = a
}

// finish sets the remaining values, and checks all.
func (r *resolver) finish(p *Partners) *Partners {
	orDefault(&p.Database, "ASPState")
	r.bad(len(p.Database) > 128, "pair.database", "is not a database name: it must have at most 128 characters")
	if err := sqlname.Check(p.Database); err != nil {
		r.bad(true, "pair.database", "%q can't be used in a script: %v", p.Database, err)
	}
	a, b := &p.Servers[0], &p.Servers[1]
	r.bad(a.Address.Host != "" && a.Address.Canonical() == b.Address.Canonical(), r.serversKey(), "both partners are the same server (%s); name the principal and the mirror", a.Address.Canonical())
	for i := range p.Servers {
		r.login(i, p)
		r.certificates(i, &p.Servers[i])
	}
	if p.Servers[0].Authentication == "kerberos" || p.Servers[1].Authentication == "kerberos" {
		r.kerberos(p)
	}
	r.wrong = r.wrong.once()
	r.noteClear(p)
	return p
}

// encryptByDefault returns the default of Encrypt in a connection string: true, as in Microsoft.Data.SqlClient 4 and later,
// and not false, as in .NET Framework, because items contain credentials. Connections to this machine are not encrypted by
// default.
func encryptByDefault(a Address) string {
	if a.loopback() {
		return "false"
	}
	return "true"
}

// loopback reports whether the address is localhost or a loopback IP address.
func (a Address) loopback() bool {
	ip := net.ParseIP(a.Host)
	return a.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// noteClear adds a note if the configuration switches encryption off.
func (r *resolver) noteClear(p *Partners) {
	for i, s := range p.Servers {
		if s.Encrypt != "true" && s.Encrypt != "strict" && !s.Address.loopback() {
			r.note(fmt.Sprintf("sessions are not encrypted on the network to partner %c (encrypt: %s); set pair.encrypt: true, and install a certificate on SQL Server", 'a'+i, s.Encrypt))
		}
	}
}

// serversKey returns the key that names the servers.
func (r *resolver) serversKey() string {
	if !r.source.ConnectionString.IsZero() {
		return r.key
	}
	return "pair.b.address"
}

// login chooses how to log in to a server, and checks that all required values are set.
func (r *resolver) login(i int, p *Partners) {
	s := &p.Servers[i]
	r.readPassword(i, s)
	if s.Authentication == "" {
		switch {
		case p.Kerberos != (Kerberos{}):
			s.Authentication = "kerberos"
		case strings.Contains(s.User, `\`):
			s.Authentication = "ntlm"
		default:
			s.Authentication = "sql"
		}
	}
	userKey, passwordKey, key := r.keyOf(i, "user"), r.keyOf(i, "password"), r.keyOf(i, "authentication")
	inDomain := strings.Contains(s.User, `\`)
	switch s.Authentication {
	case "sql", "ntlm":
		r.bad(s.User == "", userKey, "is missing; set the login, or another authentication")
		r.bad(s.Password.IsZero(), passwordKey, "is missing; set it with pair.password_file or %s", Variable("pair.password"))
		r.bad(s.Authentication == "sql" && inDomain, userKey, `is a Windows account, DOMAIN\NAME; set authentication: ntlm or kerberos`)
		r.bad(s.Authentication == "ntlm" && s.User != "" && !inDomain, userKey, `must be DOMAIN\NAME for ntlm`)
	case "windows":
		r.bad(runtime.GOOS != "windows", key, "%s", noWindows)
		r.bad(s.User != "" || !s.Password.IsZero(), userKey, "is not used with authentication: windows, which is the account of this process; remove user and password")
	case "kerberos":
	case "entra", "azure", "activedirectory":
		r.bad(true, key, "%v", errEntra)
	default:
		r.bad(true, key, "%q must be sql, ntlm, kerberos or windows%s", s.Authentication, didYouMean(s.Authentication, []string{"sql", "ntlm", "kerberos", "windows"}))
	}
}

// noWindows is the error of integrated security on a system that is not Windows.
const noWindows = "integrated security is the Windows account of the process, but this is not Windows; set pair.user and pair.password_file, " +
	"or pair.user and pair.kerberos.keytab_file"

// webConfig reads the web.config, if one is named, and applies its values.
func (r *resolver) webConfig() *SessionState {
	const key = "pair.web_config"
	if r.source.WebConfig == "" {
		r.bad(r.source.WebConfigLocation != "", "pair.web_config_location", "applies to pair.web_config, which is not set")
		return nil
	}
	s, err := ReadWebConfig(r.source.WebConfig, r.source.WebConfigLocation)
	if err != nil {
		r.bad(true, key, "%v", err)
		return nil
	}
	for _, note := range s.notes() {
		r.note(s.File + ": " + note)
	}
	if app, ok := r.Apps["default"]; ok && s.Timeout != 0 && r.from["apps.default.timeout"] == "" {
		app.Timeout = s.Timeout
		r.Apps["default"] = app
	}
	beside := !r.source.ConnectionString.IsZero() || r.source.A != (Partner{}) || r.source.B != (Partner{})
	switch {
	case s.namesNone() != "", s.PartitionResolver != "" && beside: // ASP.NET ignores the string too
	case s.SQLConnectionString.IsZero():
		r.bad(true, key, "%s: line %d: %s", s.File, s.Line, s.noPair())
	default:
		r.bad(!r.source.ConnectionString.IsZero(), stringKey, "the pair is set twice, here and with pair.web_config; remove one")
		r.key, r.source.ConnectionString = key, s.SQLConnectionString
		r.what = fmt.Sprintf("%s: line %d: connection string", s.StringFile, s.StringLine)
		if s.SQLConnectionString.holdsPassword() {
			r.secretFile(key, s.StringFile)
		}
	}
	return &s
}

// readPassword reads the password from its file.
func (r *resolver) readPassword(i int, s *Server) {
	key := r.keyOf(i, "password_file")
	switch {
	case s.PasswordFile == "":
		return
	case !s.Password.IsZero():
		r.bad(true, key, "the password is set twice, here and with %s; remove one", r.keyOf(i, "password"))
		return
	}
	text, err := ReadPassword(s.PasswordFile)
	if err != nil {
		r.bad(true, key, "%v", err)
		return
	}
	r.secretFile(key, s.PasswordFile)
	s.Password = NewSecret(text)
}

// secretFile calls Config.secretFile. An error becomes a mistake of the key.
func (r *resolver) secretFile(key, path string) {
	if err := r.Config.secretFile(path); err != nil {
		r.bad(true, key, "%v", err)
	}
}

// reason returns why a file can't be read, without its name, which may be part of a secret.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// tlsVersions are the values of tls_min; empty: the driver's default, 1.2.
var tlsVersions = []string{"", "1.0", "1.1", "1.2", "1.3"}

// certificates checks the keys for verifying a server.
func (r *resolver) certificates(i int, s *Server) {
	key := func(name string) string { return r.keyOf(i, name) }
	verified := s.Encrypt == "true" || s.Encrypt == "strict"
	r.bad(!verified && s.Encrypt != "false" && s.Encrypt != "disable", key("encrypt"), "%q must be strict, true, false or disable", s.Encrypt)
	r.bad(s.Encrypt == "strict" && s.trusting(), key("trust_server_certificate"), "can't be combined with encrypt: strict, which always verifies the certificate; name the certificate with certificate_file")
	r.bad(!slices.Contains(tlsVersions, s.TLSMin), key("tls_min"), "%q must be 1.0, 1.1, 1.2 or 1.3", s.TLSMin)
	if s.TLSMin == "1.0" || s.TLSMin == "1.1" {
		r.note(fmt.Sprintf("TLS %s is accepted from partner %c; an attacker in the network can make both sides use it", s.TLSMin, 'a'+i))
	}
	for _, f := range []struct{ name, value string }{
		{"ca_file", s.CAFile}, {"certificate_file", s.CertificateFile}, {"host_name_in_certificate", s.HostNameInCertificate},
	} {
		set := f.value != "" && r.from[key(f.name)] != ""
		r.bad(set && !verified, key(f.name), "is not used with encrypt: %s; set encrypt: true or strict", s.Encrypt)
		r.bad(set && s.trusting(), key(f.name), "is not used with trust_server_certificate: true; remove one")
	}
	r.bad(s.CertificateFile != "" && s.CAFile != "", key("ca_file"), "can't be combined with certificate_file, which is the server's own certificate; remove one")
	r.bad(s.CertificateFile != "" && s.HostNameInCertificate != "", key("host_name_in_certificate"), "can't be combined with certificate_file, whose name is not checked; remove one")
	r.certificate(key("ca_file"), s.CAFile)
	r.certificate(key("certificate_file"), s.CertificateFile)
}

// certificate reads a file as the driver does, to report errors now.
func (r *resolver) certificate(key, file string) {
	if file == "" {
		return
	}
	text, err := textfile.Read(file)
	if err != nil {
		r.bad(true, key, "can't be read: %v", reason(err))
		return
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".pem":
		block, _ := pem.Decode(text)
		if block == nil {
			r.bad(true, key, "is not a PEM file, which begins with -----BEGIN CERTIFICATE-----")
			return
		}
		text = block.Bytes
	case ".der":
	default:
		r.bad(true, key, "must have a name that ends in .pem or .der; the driver reads no others")
		return
	}
	_, err = x509.ParseCertificate(text)
	r.bad(err != nil, key, "contains no certificate")
}

// kerberos checks the keys for a login by Kerberos.
func (r *resolver) kerberos(p *Partners) {
	const key = "pair.kerberos."
	k := p.Kerberos
	withPassword := !p.Servers[0].Password.IsZero() && !p.Servers[1].Password.IsZero()
	r.bad(k.KeytabFile == "" && k.CredentialCacheFile == "" && !withPassword, key+"keytab_file",
		"is missing; name a keytab or a credential_cache_file, or set pair.password_file")
	for i, s := range p.Servers {
		r.bad(s.User == "" && k.KeytabFile != "", r.keyOf(i, "user"), "is missing; name the user whose key is in the keytab")
	}
	r.secretFile(key+"keytab_file", k.KeytabFile)
	r.secretFile(key+"credential_cache_file", k.CredentialCacheFile)
	for _, f := range []struct{ name, file string }{{"config_file", k.ConfigFile}, {"keytab_file", k.KeytabFile}} {
		if f.file != "" {
			_, err := os.Stat(f.file)
			r.bad(err != nil, key+f.name, "can't be read: %v", reason(err))
			r.bad(f.name == "config_file" && marked(f.file), key+f.name, "begins with a byte order mark, which the Kerberos library does not support; save it as UTF-8 without one")
		}
	}
}

// marked reports whether a file begins with a byte order mark. It is for files that another library reads.
func marked(file string) bool {
	before, err := os.ReadFile(file)
	if err != nil {
		return false // kerberos has reported the error
	}
	after, err := textfile.Decode(before)
	return err != nil || len(after) != len(before)
}
