//go:build !linux

package load

import "time"

// block blocks for d, as exactly as the runtime's timers allow.
func block(d time.Duration) { time.Sleep(d) }
