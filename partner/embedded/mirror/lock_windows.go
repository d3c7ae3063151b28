package mirror

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks the file for this process, until the file is closed or the process ends. It fails at
// once if another process has the lock.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
}
