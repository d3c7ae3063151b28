package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// Address is where a SQL Server listens: a host and, where that is not the default instance on
// port 1433, an instance's name or a port. A port wins over an instance, as for SqlClient.
type Address struct {
	Host     string
	Instance string // looked up at SQL Server Browser, UDP port 1434, unless there is a port
	Port     int    // 0: the default
}

// String writes it as SQL Server does: SQL1, SQL1\STATE, SQL1,1444.
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

// DefaultPort is where the default instance of SQL Server listens.
const DefaultPort = 1433

// Canonical is the one way to write an address of the many that mean it: in small letters, without the default port, and
// without an instance where a port says more. This machine is localhost. Two addresses with the same one are one server; the opposite is
// not known before both are asked, for a server has several names, and an instance some port.
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

// ParseAddress reads a server as SqlClient takes it (SQL1, SQL1\STATE, SQL1,1444, tcp:SQL1, ".", (local)), and
// with a colon before the port, as everybody else writes it. Errors never repeat the text.
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
		return Address{}, errors.New(`is not a server's name; write HOST, HOST\INSTANCE or HOST,PORT`)
	case named && !isInstance(instance):
		return Address{}, errors.New(`has no instance's name after the \; write HOST\INSTANCE`)
	case strings.EqualFold(instance, "MSSQLSERVER"):
		instance = "" // the default instance under its own name
	}
	return Address{Host: host, Instance: instance, Port: port}, nil
}

// withoutProtocol strips tcp: and refuses what is no TCP.
func withoutProtocol(text string) (string, error) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "tcp:"):
		return strings.TrimSpace(text[len("tcp:"):]), nil
	case strings.HasPrefix(lower, "np:") || strings.HasPrefix(text, `\\`):
		return "", errors.New("is a named pipe, which is not spoken here; name the server's TCP address, HOST or HOST,PORT")
	case strings.HasPrefix(lower, "lpc:"):
		return "", errors.New("is shared memory, which is not spoken here; name the server's TCP address, HOST or HOST,PORT")
	case strings.HasPrefix(lower, "admin:"):
		return "", errors.New("is the dedicated administrator connection, of which there is only one; leave admin: out")
	case strings.HasPrefix(lower, "(localdb)"):
		return "", errors.New("is LocalDB, which listens on no port and can't be mirrored; name a SQL Server")
	}
	return text, nil
}

// cutPort takes the port from the end: after a comma, or after the only colon, or after ]:.
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

// isHost says whether a text can be a host's name or address. It is strict, because a text
// from which a quote was left out could be anything, a password included.
func isHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" || isInstance(ip.Zone())
	}
	wrong := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' && r != '_'
	}
	return host != "" && len(host) <= 255 && strings.IndexFunc(host, wrong) < 0
}

// isInstance says whether a text can be an instance's name.
func isInstance(name string) bool {
	wrong := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_$#-", r)
	}
	return name != "" && len(name) <= 64 && strings.IndexFunc(name, wrong) < 0
}
