package config

// Source names the two servers in one of three ways: by a connection string, by a web.config, or by
// two partners. The other fields, for database, login and TLS, apply to
// both servers and override the connection string. Without any of the three the pair is the embedded one.
type Source struct {
	// ConnectionString is an ADO.NET string with data source and failover partner,
	// as in a web.config. It is a secret and never printed.
	ConnectionString Secret `yaml:"connection_string"`
	// WebConfig names the web.config of a .NET application. Its <sessionState> has the
	// connection string, and the timeout for the application "default".
	WebConfig string `yaml:"web_config"`
	// WebConfigLocation is the path of a <location> in the web.config. Default: the <sessionState> of the
	// application itself, or the only one.
	WebConfigLocation string `yaml:"web_config_location"`
	// Database is the mirrored database. Default ASPState.
	Database string `yaml:"database"`
	Login    `yaml:",inline"`
	// Kerberos configures authentication: kerberos.
	Kerberos Kerberos `yaml:"kerberos"`
	// A and B are the partners, whatever their roles are.
	A Partner `yaml:"a"`
	B Partner `yaml:"b"`
}

// Partner is one of the two servers. Empty fields of its Login have the values of the pair's Login.
type Partner struct {
	// Address is HOST, HOST\INSTANCE or HOST:PORT. The port of an instance is looked up
	// with SQL Server Browser, which must run and be reachable on UDP port 1434.
	Address string `yaml:"address"`
	// ServerSPN is the service principal name for Kerberos. Default MSSQLSvc/HOST:PORT.
	ServerSPN string `yaml:"server_spn"`
	Login     `yaml:",inline"`
}

// Login configures how to log in to a server, and how to verify the server.
type Login struct {
	// Authentication is sql, ntlm, kerberos or windows. Default: kerberos if a key in pair.kerberos is set,
	// ntlm if the user is DOMAIN\NAME, else sql. windows is the account of this
	// process, on Windows only. entra is not supported.
	Authentication string `yaml:"authentication"`
	// User is the login, DOMAIN\NAME for ntlm. A SQL login must have the same SID on both servers.
	User string `yaml:"user"`
	// Password is the password. PasswordFile or MIRRORSTATE_PAIR_PASSWORD are safer.
	Password Secret `yaml:"password"`
	// PasswordFile holds the password. Line ends after it are ignored.
	PasswordFile string `yaml:"password_file"`
	// Encrypt is strict (TDS 8), true, false (only the login is encrypted, with any certificate) or
	// disable. Default true; for a connection string to this machine false.
	Encrypt string `yaml:"encrypt"`
	// TrustServerCertificate accepts any certificate: an attacker in the network can read and change
	// everything. Default false.
	TrustServerCertificate *bool `yaml:"trust_server_certificate"`
	// TLSMin is the minimum version of TLS: 1.0, 1.1, 1.2 or 1.3. Default 1.2.
	TLSMin string `yaml:"tls_min"`
	// HostNameInCertificate is the name that the certificate must have. Default: the host.
	HostNameInCertificate string `yaml:"host_name_in_certificate"`
	// CAFile holds the trusted issuers' certificates, .pem or .der. Default: the system's.
	CAFile string `yaml:"ca_file"`
	// CertificateFile holds the server's own certificate, .pem or .der. Only this certificate, byte for byte, is
	// accepted. Its name and dates are not checked.
	CertificateFile string `yaml:"certificate_file"`
}

// Kerberos configures a Kerberos login that Windows does not perform.
type Kerberos struct {
	// ConfigFile is krb5.conf. Default $KRB5_CONFIG, else /etc/krb5.conf.
	ConfigFile string `yaml:"config_file"`
	// Realm is the realm of the user. Default: the one in USER@REALM, else the one in ConfigFile.
	Realm string `yaml:"realm"`
	// KeytabFile holds the user's key. Without a keytab and a password, CredentialCacheFile is used.
	KeytabFile string `yaml:"keytab_file"`
	// CredentialCacheFile holds tickets that another program renews, such as kinit or k5start.
	CredentialCacheFile string `yaml:"credential_cache_file"`
}

// orElse fills empty fields from another login. Password and PasswordFile count as one field.
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
