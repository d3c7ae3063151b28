package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Partners is what an ADO.NET connection string says of a pair. The strings hold
// the password: they are for the driver only.
type Partners struct {
	Database string    // initial catalog; ASPState where there is none
	Servers  [2]string // data source and failover partner, as written
	Strings  [2]string // the same connection string for each of the two, in the driver's words
}

// synonyms are ADO.NET's spellings of what the driver calls otherwise.
// Source: the SqlConnection.ConnectionString manual page.
var synonyms = map[string]string{
	"data source": "server", "server": "server", "address": "server", "addr": "server", "network address": "server",
	"failover partner": "failoverpartner", "failoverpartner": "failoverpartner",
	"initial catalog": "database", "database": "database",
	"user id": "user id", "uid": "user id", "user": "user id", "username": "user id",
	"password": "password", "pwd": "password",
	"connect timeout": "connection timeout", "connection timeout": "connection timeout", "timeout": "connection timeout",
	"trustservercertificate": "trustservercertificate", "trust server certificate": "trustservercertificate",
	"hostnameincertificate": "hostnameincertificate", "host name in certificate": "hostnameincertificate",
	"application name": "app name", "app": "app name", "app name": "app name",
	"encrypt": "encrypt", "port": "port", "workstation id": "workstation id", "wsid": "workstation id",
	"packet size": "packet size", "dial timeout": "dial timeout", "keepalive": "keepalive",
}

// notForUs are keywords of .NET's own pool and network library, which mean nothing here.
var notForUs = map[string]bool{"network": true, "net": true, "network library": true, "pooling": true, "max pool size": true,
	"min pool size": true, "persist security info": true, "persistsecurityinfo": true, "multipleactiveresultsets": true,
	"enlist": true, "asynchronous processing": true, "connection lifetime": true, "load balance timeout": true}

// ParsePair reads an ADO.NET connection string that names both partners. Errors
// never repeat a value, which might be the password.
func ParsePair(s string) (Partners, error) {
	pairs, err := splitConnectionString(s)
	if err != nil {
		return Partners{}, err
	}
	p := Partners{Database: "ASPState"}
	var rest []string
	for _, kv := range pairs {
		key := strings.ToLower(kv[0])
		name, known := synonyms[key]
		switch {
		case name == "server":
			p.Servers[0] = kv[1]
		case name == "failoverpartner":
			p.Servers[1] = kv[1]
		case name == "database":
			p.Database = kv[1]
		case name == "connection timeout":
			// It would bound every read for the life of the connection; our own budgets do better.
		case known:
			rest = append(rest, name+"="+quoteValue(kv[1]))
		case notForUs[key]:
		default:
			return Partners{}, fmt.Errorf("connection string: keyword %q is not known; see docs for those that are", kv[0])
		}
	}
	if p.Servers[0] == "" {
		return Partners{}, errors.New("connection string: data source is missing; name the principal's server")
	}
	if p.Servers[1] == "" {
		return Partners{}, errors.New("connection string: failover partner is missing; name the mirror's server")
	}
	for i, server := range p.Servers {
		p.Strings[i] = strings.Join(append([]string{serverKeys(server)}, rest...), ";")
	}
	return p, nil
}

// serverKeys writes a data source (HOST, HOST\INSTANCE, HOST,PORT, tcp:HOST) for the driver.
func serverKeys(server string) string {
	server = strings.TrimPrefix(server, "tcp:")
	host, port, ok := strings.Cut(server, ",")
	if !ok {
		if h, p, err := net.SplitHostPort(server); err == nil {
			host, port, ok = h, p, true
		}
	}
	if !ok {
		return "server=" + quoteValue(server)
	}
	return "server=" + quoteValue(strings.TrimSpace(host)) + ";port=" + strings.TrimSpace(port)
}

// quoteValue quotes a value in which a semicolon or a quote would end it.
func quoteValue(v string) string {
	if !strings.ContainsAny(v, `;"'{}= `) {
		return v
	}
	return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
}

// splitConnectionString cuts key=value;… with ADO.NET's quoting: a value may
// stand in single or double quotes, which double inside.
func splitConnectionString(s string) ([][2]string, error) {
	var pairs [][2]string
	for rest := s; ; {
		rest = strings.TrimLeft(rest, "; \t\r\n")
		if rest == "" {
			return pairs, nil
		}
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, errors.New("connection string: a part has no '='; write keyword=value;keyword=value")
		}
		value, tail, err := cutValue(strings.TrimLeft(after, " \t"))
		if err != nil {
			return nil, fmt.Errorf("connection string: value of %q: %w", strings.TrimSpace(key), err)
		}
		pairs = append(pairs, [2]string{strings.TrimSpace(key), value})
		rest = tail
	}
}

// cutValue takes one value, quoted or not, from the front of s.
func cutValue(s string) (value, rest string, err error) {
	if s == "" || (s[0] != '"' && s[0] != '\'') {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimSpace(value), rest, nil
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != quote:
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == quote:
			b.WriteByte(quote)
			i++
		default:
			return b.String(), strings.TrimLeft(s[i+1:], " \t"), nil
		}
	}
	return "", "", errors.New("a quote is not closed")
}
