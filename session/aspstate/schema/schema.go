// Package schema is the T-SQL of ASPState: the stock objects, and what the extension adds. Every statement
// that defines them stands in its *.sql files and nowhere else: mirrorstate install sends these
// batches, and a new embedded pair begins with what they define (Script).
//
// It does no I/O; the files are part of the program.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mirrorstate/mirrorstate/sqlscript"
)

//go:embed *.sql install/*.sql
var files embed.FS

// Batch is one batch of a script: what stands between two GO lines.
type Batch struct {
	File string // such as "40-extension-sessions.sql"
	Line int    // where it begins, from 1
	Text string
}

// The scripts, in the order in which they are run.
const (
	Stock           = "10-stock.sql"
	ExtensionTables = "20-extension-tables.sql"
	ExtensionPair   = "30-extension-pair.sql"
	Sessions        = "40-extension-sessions.sql"
	Sweep           = "50-extension-sweep.sql"
)

// All is the whole schema, stock and extension, as the batches to send to the
// database one after the other, in order. Safe to repeat: tables and rows that
// stand are kept, procedures are made again.
func All() ([]Batch, error) {
	var all []Batch
	err := each(func(name, text string) { all = append(all, Split(name, text)...) })
	return all, err
}

// Script is All as one script with GO lines: what an embedded pair begins with.
func Script() string {
	var script strings.Builder
	if err := each(func(_, text string) { script.WriteString(text + "\nGO\n") }); err != nil {
		panic(err) // the files are part of the program
	}
	return script.String()
}

// each gives f the files of the schema, in order.
func each(f func(name, text string)) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read schema: %w", err)
		}
		f(name, string(text))
	}
	return nil
}

// Install is a script of install/: what mirrorstate install and uninstall need beside the schema. {database}, {user}
// and {login} stand for quoted names. It panics for a name that is not there.
func Install(name string) []Batch {
	text, err := files.ReadFile("install/" + name)
	if err != nil {
		panic("schema: " + err.Error())
	}
	return Split("install/"+name, string(text))
}

// Split cuts a script at its GO lines, which are the client's and no T-SQL.
func Split(file, text string) (batches []Batch) {
	for _, b := range sqlscript.Split(text) {
		batches = append(batches, Batch{File: file, Line: b.Line, Text: b.Text})
	}
	return batches
}
