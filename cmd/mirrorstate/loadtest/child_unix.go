//go:build unix

package loadtest

import "syscall"

// ownGroup keeps the terminal's interrupts from a child: they are for the parent.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
