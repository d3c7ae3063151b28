package credential

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/certtest"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// Keys and certificates are read in whatever encoding their file or variable is saved.
func TestCredential_Encodings(t *testing.T) {
	own, text := certtest.SelfMade(t)
	for name, save := range certtest.AsWindowsSaves {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key, ca := filepath.Join(dir, "key"), filepath.Join(dir, "ca.pem")
			for file, text := range map[string]string{key: "ms_secret", ca: text} {
				if err := os.WriteFile(file, []byte(save(text)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var cfg client.Config
			if err := (&Files{KeyFile: key, CAFile: ca}).FromCaller(&cfg); err != nil {
				t.Fatal(err)
			}
			if cfg.Key != "ms_secret" {
				t.Errorf("got key %q", cfg.Key)
			}
			cfg.TLS.ServerName = "localhost"
			if err := certtest.Handshake(t, own, cfg.TLS); err != nil {
				t.Errorf("--ca-file: %v", err)
			}
			if err := certtest.Handshake(t, own, Pinned(ca)); err != nil {
				t.Errorf("pinned certificate: %v", err)
			}
		})
	}
	t.Setenv(Variable, "\ufeffms_secret\r\n")
	var cfg client.Config
	if err := (&Files{}).FromCaller(&cfg); err != nil || cfg.Key != "ms_secret" {
		t.Errorf("%s: got %q, %v", Variable, cfg.Key, err)
	}
}
