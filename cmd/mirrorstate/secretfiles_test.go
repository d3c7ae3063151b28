package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A command warns of a key file that other users can read. It does not use one that they can change.
func TestKeyFile_Exposed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes exist on Unix only")
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("ms_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		want string
		code int
	}{
		{0o600, "", exitFailed},
		{0o644, "warning: --key-file: " + key + " has a secret in it, and can be read by everybody on this machine (mode 0644): chmod 600 " + key, exitFailed},
		{0o666, "mirrorstate: --key-file: " + key + " has a secret in it, and can be changed by everybody", exitMisuse},
	} {
		if err := os.Chmod(key, c.mode); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := call(t, "pair", "status", "--admin", "http://127.0.0.1:1", "--key-file", key) // no server there
		if code != c.code || !strings.Contains(stderr, c.want) || c.want == "" && strings.Contains(stderr, "has a secret") {
			t.Errorf("mode %04o: code %d, %s", c.mode, code, stderr)
		}
	}
}

// --out creates a file with the key, which no other user can read. If no key is created, no file is left.
func TestKey_NewOut(t *testing.T) {
	dir := t.TempDir()
	keys, out := filepath.Join(dir, "keys.json"), filepath.Join(dir, "ops.key")
	if code, stdout, stderr := call(t, "key", "new", "ops", "--operator", "--keys-file", keys, "--out", out); code != exitDone || stdout != "" {
		t.Fatalf("code %d, %q, %s", code, stdout, stderr)
	}
	info, err := os.Stat(out)
	if err != nil || info.Size() != 65 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%+v, %v", info, err)
	}
	if err := os.WriteFile(keys, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left.key")
	if code, _, stderr := call(t, "key", "new", "ops", "--operator", "--keys-file", keys, "--out", left); code == exitDone {
		t.Errorf("a key was added to an invalid file: %s", stderr)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("no key was created, but its empty file is left")
	}
}
