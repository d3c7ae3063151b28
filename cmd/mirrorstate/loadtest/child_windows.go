package loadtest

import "syscall"

// ownGroup keeps the terminal's interrupts from a child: they are for the parent.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
