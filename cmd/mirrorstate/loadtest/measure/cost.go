package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Cost is the resources that a process used while the run was measured.
type Cost struct {
	Cores      float64 `json:"cores"`       // processor seconds per second
	ResidentMB float64 `json:"resident_mb"` // resident memory at the end, in MB (10⁶ bytes)
}

// processorTime returns the processor time that a process has used since it started. It reports
// false where the system does not say. Source: proc(5); USER_HZ is 100.
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

// residentMB returns the resident memory of a process in MB, or 0 where the system does not say.
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

// Meter measures the resources of one process. It works on Linux only.
type Meter struct {
	Name string // name of the process in the report
	pid  int
	from time.Duration
	ok   bool
}

// StartMeter returns a meter of the process with this id, which reports call name. It counts from
// now on.
func StartMeter(name string, pid int) Meter {
	from, ok := processorTime(pid)
	return Meter{name, pid, from, ok}
}

// Read returns what the process used in the time since [StartMeter]. It reports false where the
// system does not say.
func (m Meter) Read(time time.Duration) (Cost, bool) {
	to, ok := processorTime(m.pid)
	if !ok || !m.ok || time <= 0 {
		return Cost{}, false
	}
	return Cost{Cores: (to - m.from).Seconds() / time.Seconds(), ResidentMB: residentMB(m.pid)}, true
}
