package tds

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Handler whose sessions call the test's functions; a nil function has no effect.
type fake struct {
	login  func(ctx context.Context, l *Login) (LoginReply, error)
	batch  func(ctx context.Context, text string, w *Response) error
	call   func(ctx context.Context, c *Call, w *Response) error
	commit func(ctx context.Context) error

	mu     sync.Mutex
	events []string // what happened, in order, in all sessions
	names  []string // of the transactions begun
	logins []*Login
}

func (f *fake) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.events...)
}

func (f *fake) lastLogin() *Login {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins[len(f.logins)-1]
}

func (f *fake) Login(ctx context.Context, l *Login) (Session, LoginReply, error) {
	f.mu.Lock()
	f.logins = append(f.logins, l)
	f.mu.Unlock()
	reply := LoginReply{ServerName: "PARTNERA", Database: l.Database}
	if f.login != nil {
		var err error
		if reply, err = f.login(ctx, l); err != nil {
			return nil, reply, err
		}
	}
	return &fakeSession{f}, reply, nil
}

type fakeSession struct{ f *fake }

func (s *fakeSession) Batch(ctx context.Context, text string, w *Response) error {
	if s.f.batch == nil {
		return nil
	}
	return s.f.batch(ctx, text, w)
}

func (s *fakeSession) Call(ctx context.Context, c *Call, w *Response) error {
	if s.f.call == nil {
		return nil
	}
	return s.f.call(ctx, c, w)
}

func (s *fakeSession) Begin(_ context.Context, isolation byte, name string) (uint64, error) {
	s.f.note("begin")
	s.f.mu.Lock()
	s.f.names = append(s.f.names, name)
	s.f.mu.Unlock()
	return 0x0102030405060708, nil
}

func (s *fakeSession) Commit(ctx context.Context) error {
	s.f.note("commit")
	if s.f.commit != nil {
		return s.f.commit(ctx)
	}
	return nil
}

func (s *fakeSession) Rollback(context.Context) error { s.f.note("rollback"); return nil }
func (s *fakeSession) Reset(context.Context) error    { s.f.note("reset"); return nil }
func (s *fakeSession) Close()                         { s.f.note("close") }

// start serves s on loopback until the test ends, and returns the address.
func start(t testing.TB, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Serve did not return")
		}
	})
	return ln.Addr().String()
}

// open returns a pool of go-mssqldb connections to a server. The pool is closed before the
// server.
func open(t testing.TB, addr, options string) *sql.DB {
	t.Helper()
	connector, err := mssql.NewConnector("sqlserver://sa:p%C3%A4ss%E2%82%AC@" + addr + "?app+name=web&database=ASPState&" + options)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

// serve returns a pool of unencrypted connections to a server of f.
func serve(t testing.TB, f *fake) *sql.DB {
	t.Helper()
	return open(t, start(t, &Server{Handler: f}), "encrypt=disable")
}

var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// certificateFile returns a file with the server's certificate, for clients that verify it.
func certificateFile(t testing.TB) string {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "server.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sqlNumbers returns the numbers of all errors of a response, in order.
func sqlNumbers(err error) []int32 {
	var e mssql.Error
	if !errors.As(err, &e) {
		return nil
	}
	numbers := make([]int32, len(e.All))
	for i, one := range e.All {
		numbers[i] = one.Number
	}
	return numbers
}

// bound returns a context for a step that should take no time.
func bound(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}
