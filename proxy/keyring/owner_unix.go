//go:build unix

package keyring

import (
	"io/fs"
	"os"
	"syscall"
)

// likeBefore gives a new file the mode and owner of the one it replaces: the server that
// reads it is often another user than who writes it.
func likeBefore(f *os.File, before fs.FileInfo) error {
	if err := f.Chmod(before.Mode().Perm()); err != nil {
		return err
	}
	was, ok := before.Sys().(*syscall.Stat_t)
	if !ok || int(was.Uid) == os.Geteuid() && int(was.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}
