//go:build unix

package mirror

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks the file for this process, until the file is closed or the process ends. It fails at
// once if another process has the lock.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
