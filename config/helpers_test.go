package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// marker is a password that must never be printed.
const marker = "Tr0ub4dor-Zq9x"

// file writes a file that only its owner can read.
func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads a file with that text (none if it is empty), an environment, and flags.
func load(t *testing.T, yaml string, env map[string]string, flags ...config.Setting) (config.Config, error) {
	t.Helper()
	path := ""
	if yaml != "" {
		path = file(t, t.TempDir(), "mirrorstate.yaml", yaml)
	}
	return config.Load(path, func(k string) (string, bool) { v, ok := env[k]; return v, ok }, flags...)
}
