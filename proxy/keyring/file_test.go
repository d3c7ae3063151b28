package keyring

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// ReadFile reads a file that an editor on Windows saved with a byte order mark.
func TestReadFile_Marks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, _, err := Add(path, Entry{Name: "ops", Rights: []string{"observe"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(text))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	for name, saved := range map[string][]byte{"UTF-8 with a mark": append([]byte("\xef\xbb\xbf"), text...), "UTF-16": wide} {
		if err := os.WriteFile(path, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		entries, err := ReadFile(path)
		if err != nil || len(entries) != 1 || entries[0].Name != "ops" {
			t.Errorf("%s: got %+v, %v", name, entries, err)
		}
	}
}

// A file that others can change is refused, at the start and later. A file that others can read causes a warning.
func TestKeys_Exposed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes exist on Unix only")
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, _, err := Add(path, Entry{Name: "ops", Rights: []string{"observe"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	keys, err := Open(Options{Path: path, Resolve: asName, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	mode := func(m fs.FileMode) {
		t.Helper()
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	mode(0o644)
	if _, _, err := Add(path, Entry{Name: "more", Rights: []string{"observe"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil || !strings.Contains(log.String(), "chmod 600 "+path) {
		t.Errorf("everybody may read it: %v, %s", err, log.String())
	}
	mode(0o602)
	if err := keys.Reload(); err == nil || !strings.Contains(err.Error(), "can be changed by everybody") {
		t.Errorf("everybody may write it: %v", err)
	}
	if os.Geteuid() != 0 {
		return // only root can give the file to another group
	}
	mode(0o660)
	if err := os.Chown(path, 0, 4242); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "can be changed by the group 4242") {
		t.Errorf("another group may write it: %v", err)
	}
}
