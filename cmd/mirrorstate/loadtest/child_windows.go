package loadtest

import "syscall"

// ownGroup puts a child into a process group of its own. An interrupt from the terminal then
// reaches only the parent.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
