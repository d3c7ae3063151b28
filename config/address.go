package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// Address is the address of a SQL Server: a host and, unless it is the default instance on
// port 1433, an instance or a port. A port overrides an instance, as in SqlClient.
type Address struct {
	Host     string
	Instance string // its port is looked up with SQL Server Browser, UDP port 1434, unless Port is set
	Port     int    // 0: the default port
}

// String returns the address as SQL Server writes it: SQL1, SQL1\STATE, SQL1,1444.
func (a Address) String() string {
	text := a.Host
	if a.Instance != "" {
		text += `\` + a.Instance
	}
	if a.Port != 0 {
		text += "," + strconv.Itoa(a.Port)
	}
	return text
}

// DefaultPort is the port of the default instance of SQL Server.
const DefaultPort = 1433

// Canonical returns the normal form of an address: in lower case, without the default port, and
// without an instance if there is a port. This machine is localhost. Two addresses with the same normal form are one server.
// Addresses with different ones may also be one server, because a server can have several names, and the port of an
// instance is unknown.
func (a Address) Canonical() Address {
	a.Host, a.Instance = strings.ToLower(strings.TrimSuffix(a.Host, ".")), strings.ToLower(a.Instance)
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		a.Host = ip.Unmap().String()
	}
	if a.Host == "127.0.0.1" || a.Host == "::1" {
		a.Host = "localhost"
	}
	if a.Port != 0 {
		a.Instance = ""
	}
	if a.Port == DefaultPort {
		a.Port = 0
	}
	return a
}

// ParseAddress parses an address as SqlClient accepts it (SQL1, SQL1\STATE, SQL1,1444, tcp:SQL1, ".", (local)), and
// also with a colon before the port. Errors never repeat the text.
func ParseAddress(text string) (Address, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Address{}, errors.New("names no server")
	}
	text, err := withoutProtocol(text)
	if err != nil {
		return Address{}, err
	}
	server, port, err := cutPort(text)
	if err != nil {
		return Address{}, err
	}
	host, instance, named := strings.Cut(server, `\`)
	host, instance = strings.TrimSpace(host), strings.TrimSpace(instance)
	switch strings.ToLower(host) {
	case ".", "(local)":
		host = "localhost"
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	switch {
	case !isHost(host):
		return Address{}, errors.New(`is not a server name; write HOST, HOST\INSTANCE or HOST,PORT`)
	case named && !isInstance(instance):
		return Address{}, errors.New(`has no instance name after the \; write HOST\INSTANCE`)
	case strings.EqualFold(instance, "MSSQLSERVER"):
		instance = "" // the name of the default instance
	}
	return Address{Host: host, Instance: instance, Port: port}, nil
}

// withoutProtocol removes tcp: and returns an error for other protocols.
func withoutProtocol(text string) (string, error) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "tcp:"):
		return strings.TrimSpace(text[len("tcp:"):]), nil
	case strings.HasPrefix(lower, "np:") || strings.HasPrefix(text, `\\`):
		return "", errors.New("is a named pipe, which is not supported; name the server's TCP address, HOST or HOST,PORT")
	case strings.HasPrefix(lower, "lpc:"):
		return "", errors.New("is shared memory, which is not supported; name the server's TCP address, HOST or HOST,PORT")
	case strings.HasPrefix(lower, "admin:"):
		return "", errors.New("is the dedicated administrator connection, of which there can be only one; remove the prefix admin: here")
	case strings.HasPrefix(lower, "(localdb)"):
		return "", errors.New("is LocalDB, which listens on no port and can't be mirrored; name a SQL Server")
	}
	return text, nil
}

// cutPort cuts the port off the end: after a comma, after the only colon, or after ]:.
func cutPort(text string) (server string, port int, err error) {
	server, number, ok := strings.Cut(text, ",")
	if !ok {
		if i := strings.LastIndexByte(text, ':'); i >= 0 && (strings.Count(text, ":") == 1 || text[i-1] == ']') {
			server, number, ok = text[:i], text[i+1:], true
		}
	}
	if !ok {
		return text, 0, nil
	}
	port, err = strconv.Atoi(strings.TrimSpace(number))
	if err != nil || port < 1 || port > 65535 {
		return "", 0, errors.New("has a port that is not a number from 1 to 65535; write HOST,PORT")
	}
	return server, port, nil
}

// isHost reports whether a text is a valid host name or IP address. It is strict: if a quote is
// missing in a connection string, the text could contain a password.
func isHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" || isInstance(ip.Zone())
	}
	wrong := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' && r != '_'
	}
	return host != "" && len(host) <= 255 && strings.IndexFunc(host, wrong) < 0
}

// isInstance reports whether a text is a valid instance name.
func isInstance(name string) bool {
	wrong := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_$#-", r)
	}
	return name != "" && len(name) <= 64 && strings.IndexFunc(name, wrong) < 0
}
