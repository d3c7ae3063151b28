// Package secretfile checks who else on the machine can read or change a file or folder with secrets, and writes such files.
//
// One rule applies to all of them: keys, passwords, private keys, keytabs, configurations with a password, data folders.
// If others can read the file, Check returns a warning. If others can change it, Refuse returns an error: they would decide
// who has access, or which server is trusted. These do not count as others:
//
//   - the user of this process, and root, whichever of them is the owner;
//   - the groups of this process: services and Kubernetes (fsGroup) pass a secret as a file root:GROUP with mode 0640.
//
// If another user owns a file, that user can change it at any time. This is a warning and no error, because an operator
// may own the keys file. If another user owns a folder, it is an error. Symbolic links are followed. The parent folders
// are not checked: in containers they are open to everybody. On Windows nothing is checked, because access is a list there.
//
// A check costs one stat. The package imports nothing of this module.
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

// Exposure describes who else can read or change a file or folder.
type Exposure struct {
	// Path is the file or folder.
	Path string
	// Changeable is true if somebody else can change the file or folder. Then it must not be used.
	Changeable bool
	text       string
}

// Error returns who has which access, and the command that removes the access.
func (e *Exposure) Error() string { return e.text }

// Check returns the exposure of a file or folder. It returns nil if there is none, if there is no such file, and on
// systems without modes.
func Check(path string) *Exposure {
	info, err := os.Stat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() && !info.IsDir() { // nobody else reads a pipe that a shell opened for this process
		return nil
	}
	a, ok := accessOf(info)
	if !ok {
		return nil
	}
	return a.judge(path, thisProcess())
}

// Refuse is Check for a caller that is about to use the file or folder. It returns the exposure if others can change it,
// otherwise nil.
func Refuse(path string) error {
	if e := Check(path); e != nil && e.Changeable {
		return e
	}
	return nil
}

// access is the mode and the owners of a file or folder.
type access struct {
	mode     fs.FileMode
	uid, gid int
}

// process is the user and the groups of a process.
type process struct {
	uid    int
	groups []int
	name   func(kind string, id int) string // returns the name of a "user" or "group"
}

// judge is the decision of Check, without I/O.
func (a access) judge(path string, p process) *Exposure {
	read, change, open := fs.FileMode(0o4), fs.FileMode(0o2), "600"
	if a.mode.IsDir() {
		read, open = 0o5, "700" // execute alone is enough to reach the files below
	}
	e := &Exposure{Path: path}
	var who []string
	add := func(whom string, bits fs.FileMode) {
		switch {
		case bits&change != 0:
			e.Changeable = true
			who = append(who, "can be changed by "+whom)
		case bits&read != 0:
			who = append(who, "can be read by "+whom)
		}
	}
	perm := a.mode.Perm()
	add("everybody on this machine", perm&0o7)
	if a.gid != 0 && !slices.Contains(p.groups, a.gid) {
		add("the group "+p.name("group", a.gid), perm>>3&0o7)
	}
	commands := []string{"chmod " + open + " " + quoted(path)}
	if a.uid != p.uid {
		commands = append([]string{"chown " + p.name("user", p.uid) + " " + quoted(path)}, commands...) // first, because chmod alone would take this process's access away
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

// plain matches a path that a shell reads as one word without quotes.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quoted returns the path as a shell command needs it, in quotes where necessary.
func quoted(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Write creates a file or replaces its content in one step: after a crash the file has the whole old or the whole new
// content. Only the user of this process can read it.
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
		_ = os.Remove(f.Name()) // err says more than an error of Remove
		return err
	}
	return SyncFolder(folder)
}

// SyncFolder writes a folder's names to disk. Without it a crash after a rename could bring the old file back.
func SyncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	_ = d.Sync() // some file systems can't sync a folder; the file itself is on disk
	return d.Close()
}
