// Package sqlscript splits scripts of T-SQL into batches that are sent one by one. The separator GO belongs to sqlcmd
// and SQL Server Management Studio, not to T-SQL. The package imports nothing of this module and does no I/O.
package sqlscript

import (
	"slices"
	"strconv"
	"strings"
)

// Batch is the text between two GO lines.
type Batch struct {
	Line int // the line of the script where it begins, from 1
	Text string
}

// Split splits a script at its GO lines. It omits empty batches, and repeats a batch that ends in GO 3 three times.
func Split(script string) []Batch {
	var (
		batches []Batch
		lines   []string
		begin   = 1
		n       int
	)
	flush := func(times int) {
		if text := strings.Join(lines, "\n"); strings.TrimSpace(text) != "" {
			batches = append(batches, slices.Repeat([]Batch{{begin, text}}, times)...)
		}
		lines, begin = nil, n+1
	}
	for line := range strings.Lines(script) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if times, ok := separator(line); ok {
			flush(times)
			continue
		}
		lines = append(lines, line)
	}
	flush(1)
	return batches
}

// separator reports whether a line is GO, and returns how often the batch before it must run.
func separator(line string) (times int, ok bool) {
	words := strings.Fields(line)
	if len(words) == 0 || len(words) > 2 || !strings.EqualFold(words[0], "GO") {
		return 0, false
	}
	if len(words) == 1 {
		return 1, true
	}
	times, err := strconv.Atoi(words[1])
	return times, err == nil && times >= 0 && times <= maxTimes
}

// maxTimes limits how often one batch runs.
const maxTimes = 100_000
