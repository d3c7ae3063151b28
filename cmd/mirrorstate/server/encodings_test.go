package server

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/certtest"
	"github.com/mirrorstate/mirrorstate/config"
)

// A server is authenticated by its certificate, in whatever encoding the file is saved; another certificate is refused.
func TestDriverSettings_Certificates(t *testing.T) {
	own, text := certtest.SelfMade(t)
	other, _ := certtest.SelfMade(t)
	for name, save := range certtest.AsWindowsSaves {
		for _, key := range []string{"ca_file", "certificate_file"} {
			t.Run(key+", "+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "server.pem")
				if err := os.WriteFile(file, []byte(save(text)), 0o600); err != nil {
					t.Fatal(err)
				}
				variables := map[string]string{"MIRRORSTATE_PAIR_A_ADDRESS": "localhost", "MIRRORSTATE_PAIR_B_ADDRESS": "b", "MIRRORSTATE_PAIR_USER": "u",
					"MIRRORSTATE_PAIR_PASSWORD": "p", config.Variable("pair." + key): file}
				cfg, err := config.Load("", func(key string) (string, bool) { v, ok := variables[key]; return v, ok })
				if err != nil {
					t.Fatal(err)
				}
				pc, err := PairConfig(cfg, nil, "", NewLogger(t.Output(), false))
				if err != nil {
					t.Fatal(err)
				}
				if err := certtest.Handshake(t, own, pc.Partners[0].DSN.TLSConfig); err != nil {
					t.Errorf("the server is refused: %v", err)
				}
				if err := certtest.Handshake(t, other, pc.Partners[0].DSN.TLSConfig); err == nil {
					t.Error("another server's certificate is accepted")
				}
			})
		}
	}
}

// The embedded pair's password is read from the environment without its byte order mark and line end.
func TestEmbeddedPassword_ByteOrderMark(t *testing.T) {
	t.Setenv("MIRRORSTATE_EMBEDDED_PASSWORD", "\ufeffp4ss-W0rd\r\n")
	flags := Embedded{Dir: t.TempDir(), AddrA: "127.0.0.1:0", AddrB: "127.0.0.1:0", Witness: "on", PartnerTimeout: 5 * time.Second}
	servers, err := flags.Open(NewLogger(t.Output(), false))
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	if got := servers.Password(); got != "p4ss-W0rd" {
		t.Errorf("the password is %q", got)
	}
}
