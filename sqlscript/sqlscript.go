// Package sqlscript cuts scripts of T-SQL into the batches that are sent one by one. The word between them, GO, is
// sqlcmd's and SQL Server Management Studio's, and no T-SQL. The package imports nothing of this module and does no I/O.
package sqlscript

import (
	"slices"
	"strconv"
	"strings"
)

// Batch is what stands between two GO lines.
type Batch struct {
	Line int // where it begins in the script, from 1
	Text string
}

// Split cuts a script at its GO lines. What is blank is no batch; one that ends in GO 3 is there three times.
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
		if times, ok := goes(line); ok {
			flush(times)
			continue
		}
		lines = append(lines, line)
	}
	flush(1)
	return batches
}

// goes reports whether a line is GO, and how often the batch before it is to run.
func goes(line string) (times int, ok bool) {
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

// maxTimes bounds how often one batch runs.
const maxTimes = 100_000
