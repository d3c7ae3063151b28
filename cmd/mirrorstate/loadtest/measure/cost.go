package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Cost is what a process took while it was measured.
type Cost struct {
	Cores      float64 `json:"cores"`       // processor time by time
	ResidentMB float64 `json:"resident_mb"` // at the end
}

// processorTime is what a process has used; false where that is not told.
// Source: proc(5); USER_HZ is 100.
func processorTime(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, false
	}
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err == nil && err2 == nil
}

// residentMB is the memory that a process holds; 0 where that is not told.
func residentMB(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return float64(pages*os.Getpagesize()) / 1e6
}

// Meter measures what a process takes.
type Meter struct {
	Name string
	pid  int
	from time.Duration
	ok   bool
}

func StartMeter(name string, pid int) Meter {
	from, ok := processorTime(pid)
	return Meter{name, pid, from, ok}
}

// Read is what was taken in so much time; false where that is not told.
func (m Meter) Read(time time.Duration) (Cost, bool) {
	to, ok := processorTime(m.pid)
	if !ok || !m.ok || time <= 0 {
		return Cost{}, false
	}
	return Cost{Cores: (to - m.from).Seconds() / time.Seconds(), ResidentMB: residentMB(m.pid)}, true
}
