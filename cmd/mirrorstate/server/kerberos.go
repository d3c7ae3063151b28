package server

import (
	"errors"
	"time"

	"github.com/microsoft/go-mssqldb/integratedauth"
	"github.com/microsoft/go-mssqldb/integratedauth/krb5"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// kerberosTimeout bounds the exchange with the key distribution centre before a login. It is part of the login's
// budget; the driver has no bound of its own.
const kerberosTimeout = 3 * time.Second

// init puts boundedAuth around the driver's Kerberos login.
func init() {
	err := integratedauth.SetIntegratedAuthenticationProvider("krb5", integratedauth.ProviderFunc(
		func(dsn msdsn.Config) (integratedauth.IntegratedAuthenticator, error) {
			inner, err := krb5.AuthProviderFunc.GetIntegratedAuthenticator(dsn)
			if err != nil {
				return nil, err
			}
			return &boundedAuth{IntegratedAuthenticator: inner, timeout: kerberosTimeout}, nil
		}))
	if err != nil {
		panic(err) // the driver no longer has a list of providers
	}
}

// boundedAuth stops waiting for a ticket after timeout. One login uses it, from one goroutine.
type boundedAuth struct {
	integratedauth.IntegratedAuthenticator
	timeout    time.Duration
	freedLater bool // the goroutine of InitialBytes frees it
}

var errKerberos = errors.New("kerberos: the key distribution centre did not answer in time; check kdc in krb5.conf")

// InitialBytes implements integratedauth.IntegratedAuthenticator. After timeout it returns errKerberos and leaves its
// goroutine running. That goroutine ends a few seconds later, by the timeouts of the Kerberos library.
func (b *boundedAuth) InitialBytes() ([]byte, error) {
	type answer struct {
		token []byte
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		token, err := b.IntegratedAuthenticator.InitialBytes()
		answers <- answer{token, err}
	}()
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.token, a.err
	case <-timer.C:
		b.freedLater = true
		go func() {
			<-answers
			b.IntegratedAuthenticator.Free()
		}()
		return nil, errKerberos
	}
}

// Free implements integratedauth.IntegratedAuthenticator.
func (b *boundedAuth) Free() {
	if !b.freedLater {
		b.IntegratedAuthenticator.Free()
	}
}
