package config

// Source says which two servers, in one of three ways: a connection string, a web.config, or the
// two partners one by one. What is said beside these, of database, login and TLS, holds for
// both, and wins over what the string says. With none of the three it is the embedded pair.
type Source struct {
	// ConnectionString is an ADO.NET string with data source and failover partner,
	// as it stands in a web.config. Secret: never printed.
	ConnectionString Secret `yaml:"connection_string"`
	// WebConfig names a .NET application's web.config, whose <sessionState> is read: the
	// connection string, and the timeout for the application "default".
	WebConfig string `yaml:"web_config"`
	// WebConfigLocation is the path of the <location> in it that is meant. Default: the application's own
	// <sessionState>, or the only one.
	WebConfigLocation string `yaml:"web_config_location"`
	// Database is the mirrored database. Default ASPState.
	Database string `yaml:"database"`
	Login    `yaml:",inline"`
	// Kerberos says how to log in with authentication: kerberos.
	Kerberos Kerberos `yaml:"kerberos"`
	// A and B are the partners, whichever is principal.
	A Partner `yaml:"a"`
	B Partner `yaml:"b"`
}

// Partner is one of two servers. What its Login leaves empty is taken from the pair's.
type Partner struct {
	// Address is HOST, HOST\INSTANCE or HOST:PORT. An instance without a port is looked up
	// at SQL Server Browser, which must run then and be reachable at UDP port 1434.
	Address string `yaml:"address"`
	// ServerSPN is the service principal name for Kerberos. Default MSSQLSvc/HOST:PORT.
	ServerSPN string `yaml:"server_spn"`
	Login     `yaml:",inline"`
}

// Login is how to log in to a server, and how to know that it is the right one.
type Login struct {
	// Authentication is sql, ntlm, kerberos or windows. Default: ntlm if the user is DOMAIN\NAME,
	// kerberos if anything is said of that, else sql. windows is the account this process runs
	// under, on Windows only. entra is not built.
	Authentication string `yaml:"authentication"`
	// User is the login, DOMAIN\NAME for ntlm. A SQL login must have the same SID on both servers.
	User string `yaml:"user"`
	// Password is better given as PasswordFile, or as MIRRORSTATE_PAIR_PASSWORD.
	Password Secret `yaml:"password"`
	// PasswordFile holds the password; line ends after it do not count.
	PasswordFile string `yaml:"password_file"`
	// Encrypt is strict (TDS 8), true, false (only the login, under whatever certificate) or
	// disable. Default true; of a connection string false, as for .NET Framework.
	Encrypt string `yaml:"encrypt"`
	// TrustServerCertificate takes any certificate: whoever is in between can read and change
	// everything. Default false.
	TrustServerCertificate *bool `yaml:"trust_server_certificate"`
	// TLSMin is the oldest version of TLS that is spoken: 1.0, 1.1, 1.2 or 1.3. Default 1.2.
	TLSMin string `yaml:"tls_min"`
	// HostNameInCertificate is the name the certificate must be for. Default: the host.
	HostNameInCertificate string `yaml:"host_name_in_certificate"`
	// CAFile holds the certificates of those whose word is good, .pem or .der. Default: the system's.
	CAFile string `yaml:"ca_file"`
	// CertificateFile holds the server's own certificate, .pem or .der: that one, byte for byte,
	// and no other, whatever name and date are in it.
	CertificateFile string `yaml:"certificate_file"`
}

// Kerberos is what a login by Kerberos needs where Windows does not do it.
type Kerberos struct {
	// ConfigFile is krb5.conf. Default $KRB5_CONFIG, else /etc/krb5.conf.
	ConfigFile string `yaml:"config_file"`
	// Realm is the user's. Default: of USER@REALM, else the one of ConfigFile.
	Realm string `yaml:"realm"`
	// KeytabFile holds the user's key. Without one, and without a password, CredentialCacheFile is used.
	KeytabFile string `yaml:"keytab_file"`
	// CredentialCacheFile holds tickets that somebody else renews, as kinit and k5start do.
	CredentialCacheFile string `yaml:"credential_cache_file"`
}

// orElse fills what is empty from another login. A password and the file of one are the same thing.
func (l Login) orElse(other Login) Login {
	orDefault(&l.Authentication, other.Authentication)
	orDefault(&l.User, other.User)
	if l.Password.IsZero() && l.PasswordFile == "" {
		l.Password, l.PasswordFile = other.Password, other.PasswordFile
	}
	orDefault(&l.Encrypt, other.Encrypt)
	orDefault(&l.TLSMin, other.TLSMin)
	orDefault(&l.HostNameInCertificate, other.HostNameInCertificate)
	orDefault(&l.CAFile, other.CAFile)
	orDefault(&l.CertificateFile, other.CertificateFile)
	if l.TrustServerCertificate == nil {
		l.TrustServerCertificate = other.TrustServerCertificate
	}
	return l
}
