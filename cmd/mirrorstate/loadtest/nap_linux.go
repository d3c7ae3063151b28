package loadtest

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap blocks for a moment, with a lateness of some fifty microseconds.
func nap(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
