package engine

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
)

// A password that was saved by an editor on Windows is read without the editor's additions.
func TestOpenFolder_PasswordMarks(t *testing.T) {
	for _, saved := range []string{"p4ss", "p4ss\r\n", "\xef\xbb\xbfp4ss\r\n", "\xff\xfep\x004\x00s\x00s\x00\r\x00\n\x00"} {
		dir := filepath.Join(t.TempDir(), "data")
		f, err := mirror.OpenFolder(&mirror.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, mirror.PasswordFile), []byte(saved), 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err = mirror.OpenFolder(&mirror.Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if f.Password != "p4ss" || f.Fresh {
			t.Errorf("%q is read as %q", saved, f.Password)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Open refuses a data folder that others can change, or that belongs to another user, before it writes anything; it
// reports what others can read.
func TestOpenFolder_Exposed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes exist only on Unix")
	}
	base := t.TempDir()
	refused := func(dir, want string) {
		t.Helper()
		f, err := mirror.OpenFolder(&mirror.Options{Dir: dir})
		if err == nil {
			_ = f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", dir, err, want)
		}
	}
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	refused(open, "can be changed by everybody on this machine (mode 0777): chmod 700 "+open+", or choose another folder with --data")
	if entries, err := os.ReadDir(open); err != nil || len(entries) != 0 {
		t.Errorf("written into it: %v, %v", entries, err)
	}
	ours := filepath.Join(base, "ours")
	f, err := mirror.OpenFolder(&mirror.Options{Dir: ours})
	if err != nil {
		t.Fatal(err)
	}
	if all := (&Pair{Pair: &mirror.Pair{Folder: f}}).Exposed(); len(all) != 0 {
		t.Errorf("a new folder is exposed: %v", all)
	}
	for path, mode := range map[string]os.FileMode{ours: 0o755, filepath.Join(ours, mirror.PasswordFile): 0o644, f.Home("a"): 0o750 | 0o005} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if all := (&Pair{Pair: &mirror.Pair{Folder: f}}).Exposed(); len(all) != 3 {
		t.Errorf("reported: %v", all)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(ours, mirror.PasswordFile), f.Home("b")} {
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o707); err != nil {
			t.Fatal(err)
		}
		refused(ours, path+" has ")
		if err := os.Chmod(path, before.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can give a folder away
	}
	if err := os.Chown(ours, 4242, 0); err != nil {
		t.Fatal(err)
	}
	refused(ours, "belongs to the user 4242")
}
