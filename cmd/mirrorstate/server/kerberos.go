package server

import (
	"errors"
	"time"

	"github.com/microsoft/go-mssqldb/integratedauth"
	"github.com/microsoft/go-mssqldb/integratedauth/krb5"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// kerberosTimeout bounds the talk with the key distribution centre before a login, which the
// driver does not: it is a part of the login's budget.
const kerberosTimeout = 3 * time.Second

// A login by Kerberos takes the driver's way, but not for longer than we wait.
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
		panic(err) // the driver has no such list any more
	}
}

// boundedAuth ends waiting for tickets by a time. One login uses it, from one goroutine.
type boundedAuth struct {
	integratedauth.IntegratedAuthenticator
	timeout    time.Duration
	freedLater bool // somebody else frees it
}

var errKerberos = errors.New("kerberos: the key distribution centre has not answered in time; see kdc in krb5.conf")

// InitialBytes implements integratedauth.IntegratedAuthenticator. Who is not answered in time is left
// alone: that goroutine ends with the time-outs of the Kerberos library, a few seconds later.
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
