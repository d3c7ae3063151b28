package proxy_test

import (
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// Files that an editor on Windows saved with a byte order mark are read correctly.
func TestOpenCertificates_Marks(t *testing.T) {
	files := newAuthority(t).files("x")
	for _, path := range []string{files.Certificate, files.Key, files.ClientCA} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wide := []byte{0xff, 0xfe}
		for _, b := range text {
			wide = append(wide, b, 0)
		}
		for name, saved := range map[string][]byte{"UTF-8 with a mark": append([]byte("\xef\xbb\xbf"), text...), "UTF-16": wide} {
			writeFile(t, path, saved)
			if _, err := proxy.OpenCertificates(files, nil); err != nil {
				t.Errorf("%s in %s: %v", path, name, err)
			}
		}
		writeFile(t, path, text)
	}
}

// A private key that others can change is refused. One that others can read causes a warning, each time it is read.
func TestCertificates_ExposedKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are those of Unix")
	}
	ca := newAuthority(t)
	files := ca.files("x")
	var log strings.Builder
	c, err := proxy.OpenCertificates(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := ca.issue("y")
	writeFile(t, files.Certificate, cert)
	writeFile(t, files.Key, key)
	for _, next := range []struct {
		mode fs.FileMode
		want string
	}{{0o644, "chmod 600 " + files.Key}, {0o646, "can be changed by everybody"}} {
		if err := os.Chmod(files.Key, next.mode); err != nil {
			t.Fatal(err)
		}
		err := c.Reload()
		told := log.String()
		if err != nil {
			told = err.Error()
		}
		if !strings.Contains(told, next.want) {
			t.Errorf("mode %04o: %v, %s", next.mode, err, log.String())
		}
	}
	if _, err := proxy.OpenCertificates(files, nil); err == nil {
		t.Error("a key that others can change is taken at the start")
	}
}
