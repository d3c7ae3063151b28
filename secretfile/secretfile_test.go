package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	us := process{uid: 100, groups: []int{100, 300}, name: func(kind string, id int) string { return kind + strconv.Itoa(id) }}
	const dir = fs.ModeDir
	for _, c := range []struct {
		name       string
		mode       fs.FileMode
		uid, gid   int
		want       string // the text after "in it, and "; empty: no exposure
		changeable bool
	}{
		{"ours", 0o600, 100, 100, "", false},
		{"owned by root and one of our groups: a Kubernetes secret", 0o640, 0, 300, "", false},
		{"root's own group", 0o640, 100, 0, "", false},
		{"our group may write: a Kubernetes volume", dir | fs.ModeSetgid | 0o770, 0, 300, "", false},
		{"everybody can read", 0o644, 100, 100, "can be read by everybody on this machine (mode 0644): chmod 600 /x", false},
		{"owned by root, everybody can read: a Kubernetes secret without fsGroup", 0o644, 0, 0, "can be read by everybody on this machine (mode 0644): chown user100 /x && chmod 600 /x", false},
		{"everybody can write", 0o602, 100, 100, "can be changed by everybody on this machine (mode 0602): chmod 600 /x", true},
		{"another group can read", 0o640, 100, 200, "can be read by the group group200 (mode 0640): chmod 600 /x", false},
		{"another group can write", 0o660, 100, 200, "can be changed by the group group200 (mode 0660): chmod 600 /x", true},
		{"everybody and another group can write", 0o666, 100, 200, "can be changed by everybody on this machine and can be changed by the group group200 (mode 0666): chmod 600 /x", true},
		{"execute permission only", 0o711, 100, 100, "", false},
		{"owned by another user", 0o640, 7, 300, "belongs to the user user7 (mode 0640): chown user100 /x && chmod 600 /x", false},
		{"our folder", dir | 0o700, 100, 100, "", false},
		{"everybody can list a folder", dir | 0o755, 100, 100, "can be read by everybody on this machine (mode 0755): chmod 700 /x", false},
		{"everybody can enter a folder", dir | 0o701, 100, 100, "can be read by everybody on this machine (mode 0701): chmod 700 /x", false},
		{"everybody can write to a folder", dir | fs.ModeSticky | 0o777, 0, 0, "can be changed by everybody on this machine (mode 0777): chown user100 /x && chmod 700 /x", true},
		{"folder owned by another user", dir | 0o700, 7, 7, "belongs to the user user7 (mode 0700): chown user100 /x && chmod 700 /x", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := access{c.mode, c.uid, c.gid}.judge("/x", us)
			if e == nil {
				if c.want != "" {
					t.Errorf("got no exposure, want %q", c.want)
				}
				return
			}
			_, got, _ := strings.Cut(e.Error(), "in it, and ")
			if got != c.want || e.Changeable != c.changeable || e.Path != "/x" {
				t.Errorf("got %q, changeable %t; want %q, %t", e, e.Changeable, c.want, c.changeable)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes exist on Unix only")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "it's a key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode    fs.FileMode
		told    bool
		refused bool
	}{{0o600, false, false}, {0o640, false, false}, {0o644, true, false}, {0o646, true, true}} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		for _, by := range []string{path, link} {
			e, err := Check(by), Refuse(by)
			if (e != nil) != c.told || (err != nil) != c.refused {
				t.Errorf("mode %04o by %s: %v, %v", c.mode, by, e, err)
			}
			if c.told && !strings.HasSuffix(Check(path).Error(), `chmod 600 '`+dir+`/it'\''s a key'`) {
				t.Errorf("the text has no chmod command: %s", Check(path))
			}
		}
	}
	if e := Check(filepath.Join(dir, "none")); e != nil {
		t.Errorf("a file that does not exist: %v", e)
	}
	if e := Check(os.DevNull); e != nil {
		t.Errorf("a device: %v", e)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("after")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "after" {
		t.Errorf("got %q, %v", text, err)
	}
	if e := Check(path); e != nil {
		t.Errorf("the written file is exposed: %v", e)
	}
	if err := Write(filepath.Join(dir, "none", "secret"), nil); err == nil {
		t.Error("got no error for a folder that does not exist")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v; want one file", entries, err)
	}
}
