package config_test

import (
	"cmp"
	"net"
	"strings"
	"testing"

	"github.com/microsoft/go-mssqldb/integratedauth"
	_ "github.com/microsoft/go-mssqldb/integratedauth/ntlm" // NTLM comes with the driver
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/config"
)

// pairs are connection strings like those in public web.config files, with invented servers, names and passwords.
var pairs = map[string]struct {
	in             string
	database       string
	a, b           config.Address
	user, password string
	encrypt        string
	check          func(*testing.T, config.Partners)
}{
	"a connection string of 2008": {
		in:       "data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password=secret;network=dbmssocn;",
		database: "ASPState", a: config.Address{Host: "SQL1"}, b: config.Address{Host: "SQL2"}, user: "web", password: "secret",
	},
	"short keywords, no database": {
		in:       "server=db-a;failoverpartner=db-b;uid=web;pwd=p4ss",
		database: "ASPState", a: config.Address{Host: "db-a"}, b: config.Address{Host: "db-b"}, user: "web", password: "p4ss",
	},
	"the password first, as Visual Studio writes it": {
		in:       `Password=p4ss;Persist Security Info=True;User ID=web;Initial Catalog=State;Data Source=WEB-PC\STATE;Failover Partner=WEB-PC2\STATE`,
		database: "State", a: config.Address{Host: "WEB-PC", Instance: "STATE"}, b: config.Address{Host: "WEB-PC2", Instance: "STATE"}, user: "web", password: "p4ss",
	},
	"ports after a comma, tcp: and quotes": {
		in:       `Server=tcp:10.0.0.1,1444; Failover Partner = "10.0.0.2,1445";Database=State;UID=sa;PWD='a;b"c'`,
		database: "State", a: config.Address{Host: "10.0.0.1", Port: 1444}, b: config.Address{Host: "10.0.0.2", Port: 1445}, user: "sa", password: `a;b"c`,
	},
	"verified encryption in the cloud": {
		in: "Data Source=tcp:state-a.example.net,1433;Failover Partner=tcp:state-b.example.net,1433;Initial Catalog=ASPState;" +
			"Integrated Security=False;User Id=web@state;Password={brace};Encrypt=True;TrustServerCertificate=False;MultipleActiveResultSets=True;Connect Timeout=30",
		database: "ASPState", a: config.Address{Host: "state-a.example.net", Port: 1433}, b: config.Address{Host: "state-b.example.net", Port: 1433},
		user: "web@state", password: "{brace}", encrypt: "true",
		check: func(t *testing.T, p config.Partners) {
			if got := strings.Join(p.Ignored, ","); got != "connect timeout,multiple active result sets" {
				t.Errorf("ignored %q", got)
			}
		},
	},
	"several lines, as in an XML attribute": {
		in:       "Data Source=SQL1;\r\n\t\t Failover Partner=SQL2;\r\n\t\t Database=ASPState;\r\n\t\t User ID=web;\r\n\t\t Password=p4ss;\r\n",
		database: "ASPState", a: config.Address{Host: "SQL1"}, b: config.Address{Host: "SQL2"}, user: "web", password: "p4ss",
	},
	"settings of SqlClient's connection pool": {
		in: "Address=SQL1;Failover Partner=SQL2;Initial Catalog=ASPState;User=web;Pwd=p4ss;Pooling=true;Min Pool Size=5;Max Pool Size=200;" +
			"Connection Lifetime=120;Enlist=false;Asynchronous Processing=true;Application Name=Shop;Workstation ID=WEB01;Packet Size=8192",
		database: "ASPState", a: config.Address{Host: "SQL1"}, b: config.Address{Host: "SQL2"}, user: "web", password: "p4ss",
		check: func(t *testing.T, p config.Partners) {
			if p.Application != "Shop" || p.Workstation != "WEB01" || p.PacketSize != 8192 {
				t.Errorf("application %q, workstation %q, packet size %d", p.Application, p.Workstation, p.PacketSize)
			}
			if len(p.Ignored) != 6 {
				t.Errorf("ignored %q", p.Ignored)
			}
		},
	},
	"both partners on one machine": {
		in:       `Network Address=(local);Failover Partner=.\MIRROR;Initial Catalog=ASPState;User ID=sa;Password="quoted ""pass"" word "`,
		database: "ASPState", a: config.Address{Host: "localhost"}, b: config.Address{Host: "localhost", Instance: "MIRROR"}, user: "sa", password: `quoted "pass" word `,
	},
	"the last of two values applies, and an empty value resets": {
		in:       "Server=OLD;Data Source=SQL1;Failover Partner=SQL2;Database=Other;Initial Catalog=;User ID=web;Password=old;PWD=new;Encrypt=maybe;Encrypt=;",
		database: "ASPState", a: config.Address{Host: "SQL1"}, b: config.Address{Host: "SQL2"}, user: "web", password: "new",
	},
	"keywords as in Microsoft.Data.SqlClient": {
		in: "Data Source=SQL1;Failover Partner=SQL2;Initial Catalog=ASPState;User ID=web;Password=p4ss;Encrypt=Mandatory;Trust Server Certificate=True;" +
			"Multi Subnet Failover=False;Application Intent=ReadWrite;Authentication=Sql Password;Connect Retry Count=3",
		database: "ASPState", a: config.Address{Host: "SQL1"}, b: config.Address{Host: "SQL2"}, user: "web", password: "p4ss", encrypt: "true",
	},
	"IPv6, and a colon before a port": {
		in:       "data source=fe80::1,1444;failover partner=[fe80::2]:1445;initial catalog=ASPState;user id=web;password=p4ss",
		database: "ASPState", a: config.Address{Host: "fe80::1", Port: 1444}, b: config.Address{Host: "fe80::2", Port: 1445}, user: "web", password: "p4ss",
	},
	"strict": {
		in:       "data source=SQL1.example.net;failover partner=SQL2.example.net;initial catalog=ASPState;user id=web;password=\"=\";encrypt=strict;hostnameincertificate=*.example.net",
		database: "ASPState", a: config.Address{Host: "SQL1.example.net"}, b: config.Address{Host: "SQL2.example.net"}, user: "web", password: "=", encrypt: "strict",
	},
}

func TestParsePair(t *testing.T) {
	for name, tc := range pairs {
		t.Run(name, func(t *testing.T) {
			p, err := config.ParsePair(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if p.Database != tc.database || p.Servers[0].Address != tc.a || p.Servers[1].Address != tc.b {
				t.Errorf("got %s, %+v and %+v", p.Database, p.Servers[0].Address, p.Servers[1].Address)
			}
			for i, s := range p.Servers {
				if tc.encrypt == "" && (s.Address.Host == "localhost" || net.ParseIP(s.Address.Host).IsLoopback()) {
					tc.encrypt = "false"
				}
				tc.encrypt = cmp.Or(tc.encrypt, "true")
				if s.User != tc.user || s.Password.Reveal() != tc.password || s.Encrypt != tc.encrypt || s.Authentication != "sql" {
					t.Errorf("partner %d: %s logs in as %s with %q, encrypt %s", i, s.Authentication, s.User, s.Password.Reveal(), s.Encrypt)
				}
				takenByDriver(t, p, i)
			}
			if tc.check != nil {
				tc.check(t, p)
			}
			again, err := config.ParsePair(p.ConnectionString().Reveal())
			if err != nil || !samePair(again, p) {
				t.Errorf("written as %q it is read as %+v, %v; want %+v", p.ConnectionString().Reveal(), again, err, p)
			}
		})
	}
}

// samePair compares all values that a connection string can have.
func samePair(p, q config.Partners) bool {
	for i := range p.Servers {
		s, o := p.Servers[i], q.Servers[i]
		sTrust, oTrust := s.TrustServerCertificate, o.TrustServerCertificate
		if (sTrust == nil) != (oTrust == nil) || sTrust != nil && *sTrust != *oTrust {
			return false
		}
		s.TrustServerCertificate, o.TrustServerCertificate = nil, nil
		if s != o {
			return false
		}
	}
	return p.Database == q.Database && p.Application == q.Application && p.Workstation == q.Workstation && p.PacketSize == q.PacketSize
}

// takenByDriver checks that the driver parses DriverString as intended.
func takenByDriver(t *testing.T, p config.Partners, i int) msdsn.Config {
	t.Helper()
	s := p.Servers[i]
	got, err := msdsn.Parse(p.DriverString(i).Reveal())
	if err != nil {
		t.Fatalf("the driver does not accept partner %d: %v", i, err)
	}
	if got.Host != s.Address.Host || got.Instance != s.Address.Instance || int(got.Port) != s.Address.Port ||
		got.User != s.User || got.Password != s.Password.Reveal() || got.AppName != p.Application || got.FailOverPartner != "" || got.Database != "" {
		t.Errorf("partner %d: the driver reads %s\\%s:%d as %q with %q, application %q, partner %q, database %q; want %+v",
			i, got.Host, got.Instance, got.Port, got.User, got.Password, got.AppName, got.FailOverPartner, got.Database, s)
	}
	encryption := map[string]msdsn.Encryption{
		"strict": msdsn.EncryptionStrict, "true": msdsn.EncryptionRequired, "false": msdsn.EncryptionOff, "disable": msdsn.EncryptionDisabled,
	}[s.Encrypt]
	trusts := s.Encrypt == "false" || s.TrustServerCertificate != nil && *s.TrustServerCertificate
	if got.Encryption != encryption || s.Encrypt != "disable" && (got.TLSConfig.InsecureSkipVerify != trusts && s.CertificateFile == "") {
		t.Errorf("partner %d: the driver encrypts %v and trusts %v; want %v and %v", i, got.Encryption, got.TLSConfig.InsecureSkipVerify, encryption, trusts)
	}
	return got
}

func TestParsePair_Refuses(t *testing.T) {
	const login = ";user id=web;password=" + marker
	for name, tc := range map[string]struct{ in, want string }{
		"an empty string":                                {"", "is empty"},
		"no principal":                                   {"failover partner=b;initial catalog=ASPState" + login, "data source is missing; name the principal's server"},
		"no mirror":                                      {"data source=a" + login, "failover partner is missing; name the mirror's server, or set both with pair.a.address and pair.b.address"},
		"an empty mirror":                                {"data source=a;failover partner=" + login, "failover partner is missing"},
		"no login":                                       {"data source=a;failover partner=b", "pair.user: is missing; set the login"},
		"no password":                                    {"data source=a;failover partner=b;user id=web", "set it with pair.password_file or MIRRORSTATE_PAIR_PASSWORD"},
		"the same server twice":                          {"data source=SQL1;failover partner=sql1" + login, "both partners are the same server"},
		"a misspelled keyword":                           {"data source=a;failover partner=b;passwort=" + marker, `unknown keyword "passwort"; did you mean "password"?`},
		"a keyword without its blank":                    {"data source=a;failover partner=b;UserId=web;password=" + marker, `unknown keyword "userid"; did you mean "user id"?`},
		"a semicolon in a password":                      {"data source=a;failover partner=b;user id=web;password=x;" + marker + "=1", "unknown keyword in part 5, at character 57; if it is part of the password, quote the password"},
		"text without a keyword":                         {"data source=a;failover partner=b;" + marker, `part 3, at character 34: there is no "="; write keyword=value`},
		"a value without a keyword":                      {"data source=a;=" + marker, `there is no keyword before the "="`},
		"a quote that is not closed":                     {"data source=a;failover partner=b;password='" + marker, "password: a quote is not closed"},
		"text after the closing quote":                   {`data source=a;failover partner=b;password="a"` + marker + `"`, "password: something follows the closing quote; a quote inside a value is written twice"},
		"a quote at the end only":                        {"data source=a;failover partner=b;password=" + marker + "'", "password: the value ends with a quote but does not begin with one; quote all of it"},
		"a password that begins with =":                  {"data source=a;failover partner=b;password==" + marker, `password: a value that begins with "=" must be quoted`},
		"a control character":                            {"data source=a;failover partner=b;password=x\x01" + marker, "password: the value contains a control character; quote it"},
		"invalid UTF-8":                                  {"data source=a;failover partner=b\xff" + login, "it is not UTF-8 text"},
		"named pipes":                                    {`data source=np:\\a\pipe\sql\query;failover partner=b` + login, "data source is a named pipe, which is not supported; name the server's TCP address"},
		"a pipe without np:":                             {`data source=a;failover partner=\\b\pipe\sql\query` + login, "failover partner is a named pipe"},
		"named pipes as network library":                 {"data source=a;failover partner=b;network library=dbnmpntw" + login, "network library: requires named pipes, which are not supported; write dbmssocn (TCP), or remove it"},
		"AppleTalk":                                      {"data source=a;failover partner=b;net=dbmsadsn" + login, "network library: must be dbmssocn (TCP); others are not supported"},
		"shared memory":                                  {"data source=lpc:a;failover partner=b" + login, "is shared memory, which is not supported"},
		"administrator connection":                       {"data source=admin:a;failover partner=b" + login, "is the dedicated administrator connection"},
		"LocalDB":                                        {`data source=(LocalDB)\MSSQLLocalDB;failover partner=b` + login, "is LocalDB, which listens on no port and can't be mirrored"},
		"a port that is not a number":                    {"data source=a,http;failover partner=b" + login, "data source has a port that is not a number from 1 to 65535; write HOST,PORT"},
		"a port out of range":                            {"data source=a;failover partner=b,70000" + login, "failover partner has a port that is not a number from 1 to 65535"},
		"an instance without name":                       {`data source=a\;failover partner=b` + login, `data source has no instance name after the \`},
		"a server with a quote":                          {`data source="a;password=` + marker + `";failover partner=b;user id=web;password=x`, "data source is not a server name"},
		"an attached file":                               {`data source=a;failover partner=b;AttachDbFilename=|DataDirectory|\s.mdf` + login, "a database that is attached from a file can't be mirrored"},
		"a user instance":                                {"data source=a;failover partner=b;User Instance=true" + login, "user instance: can't be combined with a failover partner"},
		"many subnets":                                   {"data source=a;failover partner=b;MultiSubnetFailover=True" + login, "multi subnet failover can't be combined with a failover partner, in SqlClient either"},
		"reading only":                                   {"data source=a;failover partner=b;ApplicationIntent=ReadOnly" + login, "application intent: must be ReadWrite; sessions are written"},
		"an unknown encryption":                          {"data source=a;failover partner=b;encrypt=" + marker + login, "encrypt: must be true, false, mandatory, optional or strict"},
		"trust server certificate that is not a boolean": {"data source=a;failover partner=b;trustservercertificate=1" + login, "trust server certificate: must be true or false"},
		"strict encryption that trusts any certificate":  {"data source=a;failover partner=b;encrypt=strict;trustservercertificate=true" + login, "can't be combined with encrypt: strict, which always verifies the certificate"},
		"a packet size that is too small":                {"data source=a;failover partner=b;packet size=100" + login, "packet size: is not a number from 512 to 32768"},
		"a timeout that is not a number":                 {"data source=a;failover partner=b;connect timeout=" + marker + login, "connect timeout: is not a number"},
		"Entra":                                          {"data source=a;failover partner=b;authentication=Active Directory Managed Identity", "logins by Microsoft Entra are not supported"},
		"a Windows account on another system": {"data source=a;failover partner=b;integrated security=SSPI", "integrated security is the Windows account of the process, but this is not Windows; " +
			"set pair.user and pair.password_file, or pair.user and pair.kerberos.keytab_file"},
		"OLE DB":                           {"Provider=SQLOLEDB;data source=a;failover partner=b" + login, "provider is a keyword of connection strings for OLE DB"},
		"ODBC":                             {"Driver={SQL Server};Server=a;Failover_Partner=b;" + login, "driver is a keyword of connection strings for ODBC"},
		"a URL":                            {"sqlserver://web:" + marker + "@a?failoverpartner=b", "this is a connection string for sqlserver; write it as for ADO.NET"},
		"JDBC":                             {"jdbc:sqlserver://a;failoverPartner=b;password=" + marker, "this is a connection string for jdbc"},
		"a database name that is too long": {"data source=a;failover partner=b;database=" + strings.Repeat("x", 129) + login, "is not a database name"},
		"an unknown authentication":        {`data source=a;failover partner=b;authentication=nonsense` + login, "must be Sql Password; others are not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.ParsePair(tc.in)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant one line with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), marker) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// A Kerberos login is checked only by the driver's parser. It has not been tried with a server.
func TestDriverString_Kerberos(t *testing.T) {
	dir := t.TempDir()
	conf, keytab := file(t, dir, "krb5.conf", "[libdefaults]\n default_realm = EXAMPLE.NET\n"), file(t, dir, "web.keytab", "\x05\x02")
	c, err := load(t, "pair:\n  connection_string: data source=SQL1;failover partner=SQL2,1444;integrated security=SSPI\n"+
		"  user: web\n  kerberos: {config_file: "+conf+", realm: EXAMPLE.NET, keytab_file: "+keytab+"}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := c.Partners()
	for i := range p.Servers {
		got := takenByDriver(t, p, i)
		for key, want := range map[string]string{
			"authenticator": "krb5", "krb5-configfile": conf, "krb5-realm": "EXAMPLE.NET", "krb5-keytabfile": keytab,
		} {
			if got.Parameters[key] != want {
				t.Errorf("partner %d: %s is %q, want %q", i, key, got.Parameters[key], want)
			}
		}
	}
}

// A Windows account with a password logs in by NTLM from any system.
func TestDriverString_NTLM(t *testing.T) {
	p, err := config.ParsePair(`data source=a;failover partner=b;user id=CORP\web;password=p4ss`)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := integratedauth.GetIntegratedAuthenticator(takenByDriver(t, p, 0))
	if err != nil || auth == nil {
		t.Errorf("the driver has no authenticator for NTLM: %v", err)
	}
}
