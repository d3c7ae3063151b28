// Package secretfile looks who else on the machine can read or change a file or a folder with secrets in it, and writes
// such files.
//
// There is one rule for all of them: keys, passwords, private keys, keytabs, configurations with a password, data folders.
// What others can read is warned of. What others can change is refused, because they would decide who is let in, or which
// server is believed. Nobody else is
//
//   - the user of this process, and root, whoever of them is the owner;
//   - the groups of this process: a file root:GROUP 0640 is how a service's secrets are handed to it, and how Kubernetes
//     mounts a secret (fsGroup).
//
// Another owner of a file could change it at any time. He is warned of, and not refused: a keys file may well be
// its operator's own. Another owner of a folder is refused. Links are followed. The folders above are not looked at: in
// containers secrets stand in folders that are open to all. On Windows, where access is a list, nothing is looked at.
//
// It costs one stat. The package imports nothing of this module.
package secretfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Exposure tells who else can read or change a file or folder.
type Exposure struct {
	// Path is the file or folder.
	Path string
	// Changeable: somebody else can change it, so that it must not be used.
	Changeable bool
	text       string
}

// Error says who can do what, and what to type.
func (e *Exposure) Error() string { return e.text }

// Check gives the exposure of a file or folder. nil: there is none, there is no such file, or nobody can tell.
func Check(path string) *Exposure {
	info, err := os.Stat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() && !info.IsDir() { // a pipe of a shell's has no readers but ours
		return nil
	}
	a, ok := accessOf(info)
	if !ok {
		return nil
	}
	return a.judge(path, thisProcess())
}

// Refuse is Check for who is about to use the file or folder: the exposure if others can change it, otherwise nil.
func Refuse(path string) error {
	if e := Check(path); e != nil && e.Changeable {
		return e
	}
	return nil
}

// access is what a file or folder says of itself.
type access struct {
	mode     fs.FileMode
	uid, gid int
}

// process is who we are.
type process struct {
	uid    int
	groups []int
	name   func(kind string, id int) string // of a user or a group, in words
}

// judge is Check without the machine.
func (a access) judge(path string, p process) *Exposure {
	read, change, open := fs.FileMode(0o4), fs.FileMode(0o2), "600"
	if a.mode.IsDir() {
		read, open = 0o5, "700" // whoever may only go through reaches what is below
	}
	e := &Exposure{Path: path}
	var who []string
	told := func(whom string, bits fs.FileMode) {
		switch {
		case bits&change != 0:
			e.Changeable = true
			who = append(who, "can be changed by "+whom)
		case bits&read != 0:
			who = append(who, "can be read by "+whom)
		}
	}
	perm := a.mode.Perm()
	told("everybody on this machine", perm&0o7)
	if a.gid != 0 && !slices.Contains(p.groups, a.gid) {
		told("the group "+p.name("group", a.gid), perm>>3&0o7)
	}
	commands := []string{"chmod " + open + " " + quoted(path)}
	if a.uid != p.uid {
		commands = append([]string{"chown " + p.name("user", p.uid) + " " + quoted(path)}, commands...) // or this process could not read it any more
	}
	if a.uid != p.uid && a.uid != 0 {
		who = append(who, "belongs to the user "+p.name("user", a.uid))
		e.Changeable = e.Changeable || a.mode.IsDir()
	}
	if len(who) == 0 {
		return nil
	}
	what := "has a secret in it"
	if a.mode.IsDir() {
		what = "has secrets in it"
	}
	e.text = fmt.Sprintf("%s %s, and %s (mode %04o): %s", path, what, strings.Join(who, " and "), perm, strings.Join(commands, " && "))
	return e
}

// plain is what a shell takes for one word.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quoted is a path as it is typed.
func quoted(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Write puts text in the place of a file, or makes it, in one step: after a crash it is the old one or the new one, whole. Only
// the user of this process can read it.
func Write(path string, text []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error says more
		return err
	}
	return SyncFolder(folder)
}

// SyncFolder has the names in a folder outlive a crash: after a rename the old file could come back.
func SyncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	_ = d.Sync() // not every file system can sync a folder; the file itself is safe
	return d.Close()
}
