//go:build !linux

package load

import "time"

// block blocks for a moment, as exactly as the runtime's timers do.
func block(d time.Duration) { time.Sleep(d) }
