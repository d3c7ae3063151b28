// Package sqlscript cuts scripts of T-SQL into the batches that are sent one by one. The word between them, GO, is
// sqlcmd's and SQL Server Management Studio's, and no T-SQL. The package imports nothing of this module and does no I/O.
package sqlscript

import "strings"

// Batch is what stands between two GO lines.
type Batch struct {
	Line int // where it begins in the script, from 1
	Text string
}

// Split cuts a script at its GO lines. What is blank is no batch.
func Split(script string) []Batch {
	var (
		batches []Batch
		lines   []string
		begin   = 1
		n       int
	)
	flush := func() {
		if text := strings.Join(lines, "\n"); strings.TrimSpace(text) != "" {
			batches = append(batches, Batch{begin, text})
		}
		lines, begin = nil, n+1
	}
	for line := range strings.Lines(script) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.EqualFold(strings.TrimSpace(line), "GO") {
			flush()
			continue
		}
		lines = append(lines, line)
	}
	flush()
	return batches
}
