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

// number returns SQL Server's number of an error; 0: the error is not from the server.
func number(err error) int32 {
	var e interface{ SQLErrorNumber() int32 }
	if errors.As(err, &e) {
		return e.SQLErrorNumber()
	}
	return 0
}

// Error numbers that the checks use.
const (
	noObject     = 208
	noColumn     = 207
	noPermission = 229
	noDatabase   = 911
	noUser       = 916
	noLogin      = 18456
)

// closed reports whether the error means that nobody can open the database: it is a mirror, or not online.
func closed(err error) bool {
	switch number(err) {
	case noObject, noPermission, noUser:
		return false
	}
	return err != nil
}

// denied reports whether the login lacks a permission: on an object, a column, a database or the server.
func denied(err error) bool {
	switch number(err) {
	case noPermission, 230, 297, 300, noUser, 371, 15562:
		return true
	}
	return false
}

// answered reports whether the error is the server's answer. Then the server may answer other questions.
func answered(err error) bool {
	var e interface{ SQLErrorNumber() int32 }
	return errors.As(err, &e)
}

// letSee returns the advice for a question that failed because a right or the view is missing.
func (s *Side) letSee(err error, right string) string {
	switch number(err) {
	case noObject, noColumn:
		return "This server does not have that view, table or column, and no right can show it: check on the server yourself"
	case noUser:
		return "Give the login a user in the database (install --grant), or run doctor with a login that is sysadmin"
	}
	login := "the login"
	if name := s.one(askSelf)["name"]; name != "" {
		login = bracket(name)
	}
	return "GRANT " + right + " TO " + login + ", or run doctor with a login that is sysadmin"
}

// Rights that let a login see what doctor asks for.
const (
	viewServerState   = "VIEW SERVER STATE"
	viewAnyDefinition = "VIEW ANY DEFINITION"
)

// oneLine returns an error's text in one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// why says in a few words why a question was not answered.
func why(err error) string {
	switch {
	case err == nil:
		return "not asked"
	case denied(err):
		return fmt.Sprintf("this login may not see it (%d)", number(err))
	case number(err) == noObject:
		return "the server has no such view or table (208)"
	case number(err) == noColumn:
		return "the server has no such column (207): " + oneLine(err)
	}
	return oneLine(err)
}

// unreachable explains a failure to connect, and says what to do.
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
			"Install a certificate with the server's configured name on the server, and name its issuer in pair.ca_file (or the certificate itself in pair.certificate_file)"
	case strings.Contains(text, "no instance matching"):
		return "the named instance is not found: " + text,
			"Start SQL Server Browser on that machine and open UDP 1434 to it, or configure the instance's port instead of its name: HOST,PORT (Configuration Manager, TCP/IP, IP Addresses, IPAll)"
	case strings.Contains(text, "protocol version not supported"), strings.Contains(text, "unsupported protocol version"), strings.Contains(text, "tls: handshake failure"):
		return "the TLS handshake fails: " + text, "Update the server's TLS, or see docs/configuration.md, What Go's TLS refuses"
	case number(err) == noLogin:
		return "the login is refused (18456): the password is wrong, or this server has no such login; then mirrorstate could not log in after a failover",
			"Correct user and password; if they are right, the login is missing on this server: start the other server, and run doctor again"
	case errors.As(err, &dns):
		return "the name can't be resolved: " + text, "Correct the server's name, or add it to the DNS that this machine uses"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on that address: " + text,
			"Start SQL Server, enable TCP/IP for it (Configuration Manager, Protocols), and check the port; a named instance needs SQL Server Browser on UDP 1434, or its port in the address"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"), strings.Contains(text, "timed out"):
		return "the server does not answer: " + text, "Check that the machine is up and that no firewall drops TCP to the port; if the server accepts connections but does not answer, it hangs: restart its service"
	}
	return "the server can't be asked: " + text, "Fix this first: nothing on this server could be checked"
}
