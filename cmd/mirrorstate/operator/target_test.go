package operator

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// Without --admin the URL of the operators' listener comes from the configuration.
func TestAdminAt(t *testing.T) {
	yaml := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	for admin, want := range map[string]string{
		"{}":                        "http://127.0.0.1:8081",
		"{listen: 127.0.0.1:9091}":  "http://127.0.0.1:9091",
		"{listen: ':9091'}":         "http://127.0.0.1:9091",
		"{listen: 0.0.0.0:9091}":    "http://127.0.0.1:9091",
		"{listen: '[::]:9091'}":     "http://[::1]:9091",
		"{listen: state1.lan:9091}": "http://state1.lan:9091",
		"{listen: 127.0.0.1:9091, tls: {certificate_file: c, key_file: k}}": "https://127.0.0.1:9091",
	} {
		if err := os.WriteFile(yaml, []byte("admin: "+admin), 0o600); err != nil {
			t.Fatal(err)
		}
		load := func(flags ...config.Setting) (config.Config, error) { return config.Load(yaml, os.LookupEnv, flags...) }
		if got, _, err := AdminAt(load, "", nil); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", admin, got, err, want)
		}
		if got, _, _ := AdminAt(load, "http://10.0.0.5:1", nil); got != "http://10.0.0.5:1" {
			t.Errorf("--admin does not override the configuration: got %q", got)
		}
	}
}
