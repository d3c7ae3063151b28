package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// keywords are the keywords of System.Data.SqlClient and Microsoft.Data.SqlClient, each with the name that is used
// here. Source: SqlConnectionString of the first, SqlConnectionOptions of the second.
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

// foreign are keywords of connection strings for OLE DB and ODBC.
var foreign = map[string]string{
	"provider": "OLE DB", "driver": "ODBC", "dsn": "ODBC", "data source name": "ODBC", "filedsn": "ODBC",
}

// dotnet holds the values of a connection string, without those of other keys.
type dotnet struct {
	servers  [2]string // data source and failover partner, as written
	source   Source    // the other values, as configuration
	spn      [2]string
	app      string
	station  string
	packet   int
	windows  bool     // integrated security
	ignored  []string // keywords that have no effect
	multiNet bool
}

// readConnectionString parses an ADO.NET connection string. Errors never repeat a value.
func readConnectionString(s string) (*dotnet, error) {
	switch scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ":"); scheme {
	case "sqlserver", "jdbc", "odbc":
		return nil, fmt.Errorf("this is a connection string for %s; write it as for ADO.NET: data source=SQL1;failover partner=SQL2;…", scheme)
	}
	all, err := splitConnectionString(s)
	if err != nil {
		return nil, err
	}
	last := map[string]assignment{} // if a keyword occurs twice, also under another name, the last value applies
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

// unknown returns the error for an unknown keyword. The error contains the keyword
// only if it is similar to a known one.
func (a assignment) unknown() error {
	if kind := foreign[a.keyword]; kind != "" {
		return fmt.Errorf("%s is a keyword of connection strings for %s; write one for SqlClient, as .NET uses", a.keyword, kind)
	}
	if like := nearest(a.keyword, slices.Sorted(maps.Keys(keywords))); like != "" {
		return fmt.Errorf("unknown keyword %q; did you mean %q?", a.keyword, like)
	}
	return fmt.Errorf("unknown keyword in part %d, at character %d; if it is part of the password, quote the password", a.number, a.at)
}

// take stores one value, or returns an error if it is invalid or not supported.
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

// takeSeldom is take for keywords that are not allowed, and for those that have no effect.
func (d *dotnet) takeSeldom(name, value string) error {
	switch name {
	case "authentication":
		return readAuthentication(value)
	case "network library":
		return readNetwork(value)
	case "application intent":
		if compact(value) != "readwrite" {
			return errors.New("must be ReadWrite; sessions are written, and a mirror can't be read")
		}
	case "attachdbfilename":
		return errors.New("a database that is attached from a file can't be mirrored; name it with initial catalog")
	case "user instance", "context connection":
		if on, err := readBool(value); err != nil || on {
			return errors.Join(err, errors.New("can't be combined with a failover partner; remove it"))
		}
	default:
		d.ignored = append(d.ignored, name)
	}
	return nil
}

// check compares the values, as SqlClient does.
func (d *dotnet) check() error {
	switch {
	case d.servers[0] == "":
		return errors.New("data source is missing; name the principal's server")
	case d.servers[1] == "":
		return errors.New("failover partner is missing; name the mirror's server, or set both with pair.a.address and pair.b.address")
	case d.multiNet:
		return errors.New("multi subnet failover can't be combined with a failover partner, in SqlClient either; remove it")
	}
	return nil
}

// readBool parses a boolean as SqlClient does; more are further words for true.
func readBool(value string, more ...string) (bool, error) {
	switch v := strings.ToLower(strings.TrimSpace(value)); {
	case v == "true" || v == "yes" || slices.Contains(more, v):
		return true, nil
	case v == "false" || v == "no":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

// readEncrypt parses the old boolean and the new words.
func readEncrypt(value string) (string, error) {
	switch v := strings.ToLower(strings.TrimSpace(value)); v {
	case "strict", "disable": // disable is the driver's: not even the login is encrypted
		return v, nil
	case "true", "yes", "mandatory":
		return "true", nil
	case "false", "no", "optional":
		return "false", nil
	}
	return "", errors.New("must be true, false, mandatory, optional or strict")
}

// readAuthentication accepts only SQL logins.
func readAuthentication(value string) error {
	switch v := compact(value); {
	case v == "sqlpassword" || v == "notspecified":
		return nil
	case strings.HasPrefix(v, "activedirectory"):
		return errEntra
	}
	return errors.New("must be Sql Password; others are not supported")
}

// errEntra is the error for logins by Microsoft Entra.
var errEntra = errors.New("logins by Microsoft Entra are not supported: the driver's package for them needs the whole Azure SDK; use a SQL login, or Kerberos")

// readNetwork accepts only TCP.
func readNetwork(value string) error {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "dbmssocn":
		return nil
	case "dbnmpntw":
		return errors.New("requires named pipes, which are not supported; write dbmssocn (TCP), or remove it")
	case "dbmslpcn":
		return errors.New("requires shared memory, which is not supported; write dbmssocn (TCP), or remove it")
	}
	return errors.New("must be dbmssocn (TCP); others are not supported; remove it")
}

// readNumber parses a number and checks its range.
func readNumber(value string, least, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("is not a number from %d to %d", least, most)
	}
	return n, nil
}

// compact returns a value in lower case without blanks, which SqlClient ignores in these words.
func compact(value string) string { return strings.ToLower(strings.Join(strings.Fields(value), "")) }
