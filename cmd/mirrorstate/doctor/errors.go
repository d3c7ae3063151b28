package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// number is SQL Server's number of an error; 0: it is not the server's.
func number(err error) int32 {
	var e interface{ SQLErrorNumber() int32 }
	if errors.As(err, &e) {
		return e.SQLErrorNumber()
	}
	return 0
}

// numbers of errors that decide.
const (
	noObject     = 208
	noColumn     = 207
	noPermission = 229
	noDatabase   = 911
	noUser       = 916
	noLogin      = 18456
)

// closed says that the database does not let anybody in: this is the mirror, or it is not online.
func closed(err error) bool {
	switch number(err) {
	case noObject, noPermission, noUser:
		return false
	}
	return err != nil
}

// denied says that the login may not see it: permission errors of objects, columns, databases and the server.
func denied(err error) bool {
	switch number(err) {
	case noPermission, 230, 297, 300, noUser, 371, 15562:
		return true
	}
	return false
}

// answered says that the error is the server's answer: it may answer other questions.
func answered(err error) bool {
	var e interface{ SQLErrorNumber() int32 }
	return errors.As(err, &e)
}

// letSee is what to do about a question that was refused for want of a right, or of the view.
func (s *Side) letSee(err error, right string) string {
	switch number(err) {
	case noObject, noColumn:
		return "This server does not have what is asked for, and no right shows it; look for yourself whether it matters there"
	case noUser:
		return "Give the login a user in the database (install --grant), or run doctor with a login that is sysadmin"
	}
	login := "the login"
	if name := s.one(askSelf)["name"]; name != "" {
		login = bracket(name)
	}
	return "GRANT " + right + " TO " + login + ", or run doctor with a login that is sysadmin"
}

// Rights that show what doctor asks for.
const (
	viewServerState   = "VIEW SERVER STATE"
	viewAnyDefinition = "VIEW ANY DEFINITION"
)

// oneLine is an error's text in one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// why tells why a question was not answered, in a few words.
func why(err error) string {
	switch {
	case err == nil:
		return "not asked"
	case denied(err):
		return fmt.Sprintf("this login may not see it (%d)", number(err))
	case number(err) == noObject:
		return "the server does not have that view or table (208)"
	case number(err) == noColumn:
		return "the server does not have that column (207): " + oneLine(err)
	}
	return oneLine(err)
}

// unreachable tells what a failure to connect is, and what to do.
func unreachable(err error) (found, mend string) {
	var (
		certificate *x509.UnknownAuthorityError
		unknown     x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		dns         *net.DNSError
		text        = oneLine(err)
	)
	switch {
	case errors.As(err, &unknown), errors.As(err, &certificate), errors.As(err, &invalid), errors.As(err, &host),
		strings.Contains(text, "certificate"), strings.Contains(text, "does not support encryption"):
		return "the TLS handshake fails: " + text,
			"Give the server a certificate whose name is the one you connect to, and its issuer with pair.ca_file (or that very certificate with pair.certificate_file)"
	case strings.Contains(text, "no instance matching"):
		return "the named instance is not found: " + text,
			"Start SQL Server Browser on that machine and open UDP 1434 to it, or give the instance's port in place of its name: HOST,PORT (Configuration Manager, TCP/IP, IP Addresses, IPAll)"
	case strings.Contains(text, "protocol version not supported"), strings.Contains(text, "unsupported protocol version"), strings.Contains(text, "tls: handshake failure"):
		return "the TLS handshake fails: " + text, "Bring the server's TLS up to date, or see docs/configuration.md, What Go's TLS refuses"
	case number(err) == noLogin:
		return "the login is refused (18456): wrong password, or the login is not on this server, which would stop everything after a failover to it",
			"Correct user and password; if they are right, the login is missing on this server: bring the other one up, and run doctor again"
	case errors.As(err, &dns):
		return "the name can't be resolved: " + text, "Correct the server's name, or name it in DNS for this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: " + text,
			"Start SQL Server, enable TCP/IP for it (Configuration Manager, Protocols), and check the port; a named instance needs SQL Server Browser on UDP 1434 or its port in the address"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"), strings.Contains(text, "timed out"):
		return "it does not answer: " + text, "Check that the machine is up and that no firewall drops TCP to the port; a server that accepts and stays silent hangs: restart its service"
	}
	return "it can't be asked: " + text, "Mend that first: nothing on this server could be checked"
}
