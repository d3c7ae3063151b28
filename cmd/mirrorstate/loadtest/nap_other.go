//go:build !linux

package loadtest

import "time"

// nap blocks for a moment, as exactly as the runtime's timers do.
func nap(d time.Duration) { time.Sleep(d) }
