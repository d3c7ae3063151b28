package aspstate

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Batch is one batch of a schema script: what stands between two GO lines.
type Batch struct {
	File string // such as "40-extension-sessions.sql"
	Line int    // where it begins, from 1
	Text string
}

// Schema is the whole schema, stock and extension, as the batches to send to the
// database one after the other, in order. Safe to repeat: tables and rows that
// stand are kept, procedures are made again.
func Schema() ([]Batch, error) {
	names, err := fs.Glob(schemaFiles, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	var all []Batch
	for _, name := range names {
		text, err := schemaFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		all = append(all, splitBatches(strings.TrimPrefix(name, "schema/"), string(text))...)
	}
	return all, nil
}

// splitBatches cuts a script at its GO lines, which are the client's and no T-SQL.
func splitBatches(file, text string) []Batch {
	var (
		batches []Batch
		lines   []string
		begin   = 1
		n       int
	)
	flush := func() {
		if body := strings.TrimSpace(strings.Join(lines, "\n")); body != "" {
			batches = append(batches, Batch{File: file, Line: begin, Text: strings.Join(lines, "\n")})
		}
		lines, begin = nil, n+1
	}
	scan := bufio.NewScanner(strings.NewReader(text))
	for scan.Scan() {
		n++
		if strings.EqualFold(strings.TrimSpace(scan.Text()), "GO") {
			flush()
			continue
		}
		lines = append(lines, scan.Text())
	}
	flush()
	return batches
}
