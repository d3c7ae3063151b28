package loadtest

import "syscall"

// apart keeps the terminal's interrupts from a child: they are for the parent.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
