package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// keywords are all that SqlClient knows, System.Data's and Microsoft.Data's, each with the name it
// has here. Source: SqlConnectionString of the one, SqlConnectionOptions of the other.
var keywords = func() map[string]string {
	all := map[string]string{}
	for _, line := range []string{
		"data source,server,address,addr,network address",
		"failover partner,failoverpartner",
		"initial catalog,database",
		"user id,uid,user",
		"password,pwd",
		"integrated security,trusted_connection",
		"authentication",
		"encrypt",
		"trust server certificate,trustservercertificate",
		"host name in certificate,hostnameincertificate",
		"server certificate,servercertificate",
		"server spn,serverspn",
		"failover partner spn,failoverpartnerspn",
		"application name,app",
		"workstation id,wsid,workstationid",
		"packet size,packetsize",
		"network library,net,network",
		"application intent,applicationintent",
		"multi subnet failover,multisubnetfailover",
		"attachdbfilename,extended properties,initial file name",
		"user instance",
		"context connection",
		"connect timeout,connection timeout,timeout,connecttimeout",
		"command timeout",
		"pooling",
		"max pool size",
		"min pool size",
		"load balance timeout,connection lifetime",
		"connection idle timeout",
		"connection reset",
		"pool blocking period,poolblockingperiod",
		"connect retry count,connectretrycount",
		"connect retry interval,connectretryinterval",
		"enlist",
		"transaction binding",
		"replication",
		"asynchronous processing,async",
		"multiple active result sets,multipleactiveresultsets",
		"persist security info,persistsecurityinfo",
		"current language,language",
		"type system version",
		"transparent network ip resolution,transparentnetworkipresolution",
		"ip address preference,ipaddresspreference",
		"column encryption setting,columnencryption",
		"enclave attestation url",
		"attestation protocol",
	} {
		names := strings.Split(line, ",")
		for _, name := range names {
			all[name] = names[0]
		}
	}
	return all
}()

// foreign are keywords of other people's connection strings.
var foreign = map[string]string{
	"provider": "OLE DB", "driver": "ODBC", "dsn": "ODBC", "data source name": "ODBC", "filedsn": "ODBC",
}

// dotnet is what a connection string says, before anything else is added to it.
type dotnet struct {
	servers  [2]string // data source and failover partner, as written
	source   Source    // the rest, in the words of the configuration
	spn      [2]string
	app      string
	station  string
	packet   int
	windows  bool     // integrated security
	ignored  []string // keywords that mean nothing here
	multiNet bool
}

// readConnectionString reads an ADO.NET connection string. Errors never repeat a value.
func readConnectionString(s string) (*dotnet, error) {
	switch scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ":"); scheme {
	case "sqlserver", "jdbc", "odbc":
		return nil, fmt.Errorf("this is %s's way to write one; write it as ADO.NET does: data source=SQL1;failover partner=SQL2;…", scheme)
	}
	all, err := splitConnectionString(s)
	if err != nil {
		return nil, err
	}
	last := map[string]assignment{} // the last one wins, under whichever name
	for _, a := range all {
		name, known := keywords[a.keyword]
		if !known {
			return nil, a.unknown()
		}
		last[name] = a
	}
	d := &dotnet{}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if a := last[name]; !a.reset {
			if err := d.take(name, a.value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return d, d.check()
}

// unknown is the complaint about a keyword that SqlClient does not know. The keyword itself is
// shown only if it is one that was spelled wrong.
func (a assignment) unknown() error {
	if kind := foreign[a.keyword]; kind != "" {
		return fmt.Errorf("%s belongs to a connection string for %s; write one for SqlClient, as .NET uses it", a.keyword, kind)
	}
	if like := nearest(a.keyword, slices.Sorted(maps.Keys(keywords))); like != "" {
		return fmt.Errorf("keyword %q is not known; did you mean %q?", a.keyword, like)
	}
	return fmt.Errorf("keyword %d, at character %d, is none that SqlClient knows; if it is a piece of the password, quote the password", a.number, a.at)
}

// take puts one value in its place, or says why it can't be had.
func (d *dotnet) take(name, value string) (err error) {
	switch name {
	case "data source":
		d.servers[0] = value
	case "failover partner":
		d.servers[1] = value
	case "initial catalog":
		d.source.Database = value
	case "user id":
		d.source.User = value
	case "password":
		d.source.Password = NewSecret(value)
	case "integrated security":
		d.windows, err = readBool(value, "sspi")
	case "encrypt":
		d.source.Encrypt, err = readEncrypt(value)
	case "trust server certificate":
		var trust bool
		trust, err = readBool(value)
		d.source.TrustServerCertificate = &trust
	case "host name in certificate":
		d.source.HostNameInCertificate = value
	case "server certificate":
		d.source.CertificateFile = value
	case "server spn":
		d.spn[0] = value
	case "failover partner spn":
		d.spn[1] = value
	case "application name":
		d.app = value
	case "workstation id":
		d.station = value
	case "packet size":
		d.packet, err = readNumber(value, 512, 32768)
	case "connect timeout":
		_, err = readNumber(value, 0, 1<<31-1)
		d.ignored = append(d.ignored, name)
	case "multi subnet failover":
		d.multiNet, err = readBool(value)
	default:
		err = d.takeSeldom(name, value)
	}
	return err
}

// takeSeldom is take for what must not be there, and for what means nothing here.
func (d *dotnet) takeSeldom(name, value string) error {
	switch name {
	case "authentication":
		return readAuthentication(value)
	case "network library":
		return readNetwork(value)
	case "application intent":
		if compact(value) != "readwrite" {
			return errors.New("is not ReadWrite; sessions are written, and a mirror can't be read")
		}
	case "attachdbfilename":
		return errors.New("a database that is attached from a file can't be mirrored; name it with initial catalog")
	case "user instance", "context connection":
		if on, err := readBool(value); err != nil || on {
			return errors.Join(err, errors.New("does not go with a failover partner; leave it out"))
		}
	default:
		d.ignored = append(d.ignored, name)
	}
	return nil
}

// check looks at the values together, as SqlClient does.
func (d *dotnet) check() error {
	switch {
	case d.servers[0] == "":
		return errors.New("data source is missing; name the principal's server")
	case d.servers[1] == "":
		return errors.New("failover partner is missing; name the mirror's server, or give both with pair.a.address and pair.b.address")
	case d.multiNet:
		return errors.New("multi subnet failover does not go with a failover partner, for SqlClient either; leave it out")
	}
	return nil
}

// readBool reads what SqlClient takes for a boolean; more are further words for true.
func readBool(value string, more ...string) (bool, error) {
	switch v := strings.ToLower(strings.TrimSpace(value)); {
	case v == "true" || v == "yes" || slices.Contains(more, v):
		return true, nil
	case v == "false" || v == "no":
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

// readEncrypt reads the old boolean and the new words.
func readEncrypt(value string) (string, error) {
	switch v := strings.ToLower(strings.TrimSpace(value)); v {
	case "strict", "disable": // the second is the driver's own: not even the login
		return v, nil
	case "true", "yes", "mandatory":
		return "true", nil
	case "false", "no", "optional":
		return "false", nil
	}
	return "", errors.New("is none of true, false, mandatory, optional and strict")
}

// readAuthentication takes SQL logins only.
func readAuthentication(value string) error {
	switch v := compact(value); {
	case v == "sqlpassword" || v == "notspecified":
		return nil
	case strings.HasPrefix(v, "activedirectory"):
		return errEntra
	}
	return errors.New("is not Sql Password, the only one there is here")
}

// errEntra says what is not built.
var errEntra = errors.New("logins by Microsoft Entra are not built: the driver's package for them brings in the whole Azure SDK; use a SQL login, or Kerberos")

// readNetwork takes TCP only.
func readNetwork(value string) error {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "dbmssocn":
		return nil
	case "dbnmpntw":
		return errors.New("asks for named pipes, which are not spoken here; write dbmssocn (TCP), or leave it out")
	case "dbmslpcn":
		return errors.New("asks for shared memory, which is not spoken here; write dbmssocn (TCP), or leave it out")
	}
	return errors.New("is not dbmssocn (TCP), the only one there is here; leave it out")
}

// readNumber reads a number in its range.
func readNumber(value string, least, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("is not a number from %d to %d", least, most)
	}
	return n, nil
}

// compact drops what SqlClient's words may or may not have between them.
func compact(value string) string { return strings.ToLower(strings.Join(strings.Fields(value), "")) }
