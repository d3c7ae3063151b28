package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// asWindowsSaves are the ways in which an ASCII text comes from editors and shells.
var asWindowsSaves = map[string]func(string) string{
	"plain":             func(s string) string { return s },
	"UTF-8 with a mark": func(s string) string { return "\xef\xbb\xbf" + s + "\r\n" },
	"UTF-16": func(s string) string {
		var b strings.Builder
		b.WriteString("\xff\xfe")
		for _, c := range []byte(s + "\r\n") {
			b.Write([]byte{c, 0})
		}
		return b.String()
	},
}

// selfMade makes a certificate for localhost, and gives it in PEM too.
func selfMade(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// handshake speaks TLS with a server that has the certificate.
func handshake(t *testing.T, own tls.Certificate, cfg *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{own}}).HandshakeContext(t.Context())
		_ = far.Close()
	}()
	_ = near.SetDeadline(time.Now().Add(10 * time.Second))
	err := tls.Client(near, cfg).HandshakeContext(t.Context())
	_ = near.Close()
	<-ended
	return err
}

// A server is known by a certificate's file however that was saved, and by no other certificate.
func TestDriverSettings_Certificates(t *testing.T) {
	own, text := selfMade(t)
	other, _ := selfMade(t)
	for name, save := range asWindowsSaves {
		for _, key := range []string{"ca_file", "certificate_file"} {
			t.Run(key+", "+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "server.pem")
				if err := os.WriteFile(file, []byte(save(text)), 0o600); err != nil {
					t.Fatal(err)
				}
				said := map[string]string{"MIRRORSTATE_PAIR_A_ADDRESS": "localhost", "MIRRORSTATE_PAIR_B_ADDRESS": "b", "MIRRORSTATE_PAIR_USER": "u",
					"MIRRORSTATE_PAIR_PASSWORD": "p", config.Variable("pair." + key): file}
				cfg, err := config.Load("", func(key string) (string, bool) { v, ok := said[key]; return v, ok })
				if err != nil {
					t.Fatal(err)
				}
				pc, err := pairConfig(cfg, nil, "", newLogger(t.Output(), false))
				if err != nil {
					t.Fatal(err)
				}
				if err := handshake(t, own, pc.Partners[0].DSN.TLSConfig); err != nil {
					t.Errorf("the server is refused: %v", err)
				}
				if err := handshake(t, other, pc.Partners[0].DSN.TLSConfig); err == nil {
					t.Error("another server is believed")
				}
			})
		}
	}
}

// So are the files and variables of the commands.
func TestCredential_Marks(t *testing.T) {
	own, text := selfMade(t)
	for name, save := range asWindowsSaves {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key, ca := filepath.Join(dir, "key"), filepath.Join(dir, "ca.pem")
			for file, text := range map[string]string{key: "ms_secret", ca: text} {
				if err := os.WriteFile(file, []byte(save(text)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var cfg client.Config
			if err := (&credential{keyFile: key, caFile: ca}).fromCaller(&cfg); err != nil {
				t.Fatal(err)
			}
			if cfg.Key != "ms_secret" {
				t.Errorf("the key is %q", cfg.Key)
			}
			cfg.TLS.ServerName = "localhost"
			if err := handshake(t, own, cfg.TLS); err != nil {
				t.Errorf("--ca-file: %v", err)
			}
			if err := handshake(t, own, pinned(ca)); err != nil {
				t.Errorf("the configured certificate: %v", err)
			}
		})
	}
	t.Setenv(keyVariable, "\ufeffms_secret\r\n")
	var cfg client.Config
	if err := (&credential{}).fromCaller(&cfg); err != nil || cfg.Key != "ms_secret" {
		t.Errorf("%s: got %q, %v", keyVariable, cfg.Key, err)
	}
}

// The embedded pair's password comes from the environment as it was meant.
func TestEmbeddedPassword_Marks(t *testing.T) {
	t.Setenv("MIRRORSTATE_EMBEDDED_PASSWORD", "\ufeffp4ss-W0rd\r\n")
	flags := embeddedFlags{dir: t.TempDir(), addrA: "127.0.0.1:0", addrB: "127.0.0.1:0", witness: "on", partnerTimeout: 5 * time.Second}
	servers, err := flags.open(newLogger(t.Output(), false))
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	if got := servers.Password(); got != "p4ss-W0rd" {
		t.Errorf("the password is %q", got)
	}
}
