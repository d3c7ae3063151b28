//go:build unix

package keyring

import (
	"io/fs"
	"os"
	"syscall"
)

// copyModeAndOwner gives a new file the mode and owner of the one it replaces. The server that
// reads the file often runs as another user than the one who edits it.
func copyModeAndOwner(f *os.File, before fs.FileInfo) error {
	if err := f.Chmod(before.Mode().Perm()); err != nil {
		return err
	}
	was, ok := before.Sys().(*syscall.Stat_t)
	if !ok || int(was.Uid) == os.Geteuid() && int(was.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}
