package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := a.sign(template, template, nil)
	a.key = key
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by); err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// issue returns a certificate and its key, in PEM.
func (a *authority) issue(name string) (cert, key []byte) {
	a.t.Helper()
	a.n++
	der, priv := a.sign(&x509.Certificate{SerialNumber: big.NewInt(100 + a.n), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, a.key)
	text, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// client returns a client that trusts the authority, and uses a certificate of that name unless the name is empty.
func (a *authority) client(name string) *http.Client {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.pem)
	how := &tls.Config{RootCAs: roots}
	if name != "" {
		cert, key := a.issue(name)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			a.t.Fatal(err)
		}
		how.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: how, ForceAttemptHTTP2: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files writes a certificate of that name, and the authority's, to files.
func (a *authority) files(name string) proxy.CertificateFiles {
	a.t.Helper()
	dir := a.t.TempDir()
	f := proxy.CertificateFiles{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), ClientCA: filepath.Join(dir, "ca.pem")}
	cert, key := a.issue(name)
	writeFile(a.t, f.Certificate, cert)
	writeFile(a.t, f.Key, key)
	writeFile(a.t, f.ClientCA, a.pem)
	return f
}

func TestTLS_HotReloadAndHTTP2(t *testing.T) {
	ca := newAuthority(t)
	files := ca.files("first.example.net")
	certs, err := proxy.OpenCertificates(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, ended := run(t, api, proxy.ServerConfig{TLS: certs.TLS()})
	url = strings.Replace(url, "http:", "https:", 1)
	ask := func() *http.Response {
		t.Helper()
		c := ca.client("") // opens a connection of its own
		resp, err := c.Get(url + "/openapi.yaml")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		c.CloseIdleConnections()
		return resp
	}
	first := ask()
	if first.ProtoMajor != 2 || first.TLS.Version < tls.VersionTLS12 || first.TLS.PeerCertificates[0].Subject.CommonName != "first.example.net" {
		t.Errorf("HTTP/%d, TLS %x, certificate of %s", first.ProtoMajor, first.TLS.Version, first.TLS.PeerCertificates[0].Subject)
	}
	cert, key := ca.issue("second.example.net")
	writeFile(t, files.Certificate, cert)
	if err := certs.Reload(); err == nil {
		t.Error("a certificate without its key was taken")
	}
	if got := ask().TLS.PeerCertificates[0].Subject.CommonName; got != "first.example.net" {
		t.Errorf("after a reading that failed the certificate is %s's", got)
	}
	writeFile(t, files.Key, key)
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := ask().TLS.PeerCertificates[0].Subject.CommonName; got != "second.example.net" {
		t.Errorf("after a reading the certificate is %s's", got)
	}
	if s := certs.Stats(); s.Reloads != 1 || s.Failures != 1 || time.Until(s.NotAfter) > time.Hour {
		t.Errorf("counted %+v", s)
	}
	old := ca.client("")
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if resp, err := old.Get(url + "/openapi.yaml"); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A client's certificate has the rights of its name. A key in the header is used instead of the certificate.
func TestTLS_ClientCertificates(t *testing.T) {
	ca, strangers := newAuthority(t), newAuthority(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	for _, e := range []keyring.Entry{
		{Name: "web", Certificate: "web1.example.net", Apps: []string{"default"}, Rights: []string{"read", "write"}},
		{Name: "gone", Certificate: "gone.example.net", Apps: []string{"default"}, Rights: []string{"read"}, Expires: time.Now().Add(-time.Hour)},
	} {
		if _, _, err := keyring.Add(path, e, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	key, _, err := keyring.Add(path, keyring.Entry{Name: "k", Apps: []string{"other"}, Rights: []string{"read"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := proxy.OpenCertificates(ca.files("server.example.net"), nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: openKeys(t, path, keyring.Options{}), Apps: twoApps})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, ended := run(t, api, proxy.ServerConfig{TLS: certs.TLS()})
	url = strings.Replace(url, "http:", "https:", 1)
	status := func(c *http.Client, method, path string, header ...string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			req.Header.Set("Authorization", header[0])
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	web, none, gone, nobody := ca.client("web1.example.net"), ca.client(""), ca.client("gone.example.net"), ca.client("nobody.example.net")
	stranger := ca.client("")
	stranger.Transport.(*http.Transport).TLSClientConfig.Certificates = strangers.client("web1.example.net").Transport.(*http.Transport).TLSClientConfig.Certificates
	const other = "/v1/apps/other/sessions/x"
	for _, c := range []struct {
		name         string
		client       *http.Client
		method, path string
		header       []string
		want         int
	}{
		{"its application", web, "GET", sessions + "/x", nil, 404},
		{"its right", web, "PUT", sessions + "/x", nil, 201},
		{"not its right", web, "DELETE", sessions + "/x", nil, 403},
		{"another application", web, "GET", other, nil, 403},
		{"a key beside it", web, "GET", other, []string{"Bearer " + key}, 404},
		{"a key beside it that is wrong", web, "GET", sessions + "/x", []string{"Bearer ms_"}, 401},
		{"no certificate", none, "GET", sessions + "/x", nil, 401},
		{"no certificate, and a key", none, "GET", other, []string{"Bearer " + key}, 404},
		{"a certificate whose entry has expired", gone, "GET", sessions + "/x", nil, 401},
		{"a certificate of no entry", nobody, "GET", sessions + "/x", nil, 401},
		{"a certificate of another authority", stranger, "GET", sessions + "/x", nil, 0},
	} {
		if got := status(c.client, c.method, c.path, c.header...); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOpenCertificates_Refuses(t *testing.T) {
	ca := newAuthority(t)
	files := ca.files("x")
	_, otherKey := ca.issue("y")
	for says, change := range map[string]func(f *proxy.CertificateFiles){
		"no such file": func(f *proxy.CertificateFiles) { f.Certificate += "x" },
		"private key does not match": func(f *proxy.CertificateFiles) {
			f.Key += ".other"
			writeFile(t, f.Key, otherKey)
		},
		"has no certificate in PEM": func(f *proxy.CertificateFiles) {
			f.ClientCA += ".empty"
			writeFile(t, f.ClientCA, nil)
		},
	} {
		f := files
		change(&f)
		if _, err := proxy.OpenCertificates(f, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q", err, says)
		}
	}
}
