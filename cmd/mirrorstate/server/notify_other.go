//go:build !linux

package server

// monotonic returns 0: only systemd needs it, which runs on Linux only.
func monotonic() int64 { return 0 }
