package aspstate

import (
	"sync/atomic"
	"time"
)

// load tells how long live calls take. Noting one costs two atomic additions.
type load struct {
	calls, nanoseconds atomic.Int64
}

// note counts one call's way to the database and back.
func (l *load) note(took time.Duration) {
	l.calls.Add(1)
	l.nanoseconds.Add(int64(took))
}

// take gives what was noted since the last take. One goroutine may call it.
func (l *load) take() (calls int64, mean time.Duration) {
	calls = l.calls.Swap(0)
	sum := l.nanoseconds.Swap(0)
	if calls == 0 {
		return 0, 0
	}
	return calls, time.Duration(sum / calls)
}
