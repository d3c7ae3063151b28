package aspstate

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// marked adds a byte order mark to a script that needs one.
func marked(script string) string {
	if strings.ContainsFunc(script, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "\ufeff-- In UTF-8, with a byte order mark: keep it, or run sqlcmd with -f 65001.\n" + script
	}
	return script
}

// section is a list of batches that are sent in order. If one of them gets no lock, all are sent again.
type section struct {
	title   string
	batches []string
}

// sections returns everything that is sent, in order. Both Run and WriteScript use it, so the printed script is the
// script that is run.
func (s Script) sections() []section {
	if s.Empty() {
		return nil
	}
	list := []section{{"", append([]string{"USE [master]"}, texts(schema.Install("session.sql"))...)}}
	inside := false
	for _, step := range s.Steps {
		if !step.inMaster && !inside {
			inside = true
			list = append(list, section{"", []string{"USE " + quoteName(s.Database)}})
		}
		batches := texts(step.Batches)
		if step.Transaction {
			batches = append(append([]string{"BEGIN TRANSACTION"}, batches...), "COMMIT TRANSACTION")
		}
		list = append(list, section{step.Title, batches})
	}
	return list
}

// texts returns the batches' texts without the blank lines around them.
func texts(batches []schema.Batch) []string {
	out := make([]string, len(batches))
	for i, b := range batches {
		out[i] = strings.Trim(b.Text, "\n")
	}
	return out
}

// WriteScript writes the script for sqlcmd, or for SQL Server Management Studio. It consists of head as comments, the
// commands that make these clients stop at the first error (install/sqlcmd.sql), and what Run sends. If a name in the
// script is not ASCII, the script begins with a byte order mark: without one, sqlcmd reads the file in the code page of
// its machine.
func (s Script) WriteScript(w io.Writer, head ...string) error {
	var b strings.Builder
	for _, line := range head {
		for part := range strings.Lines(line) {
			b.WriteString(strings.TrimRight("-- "+part, " \n") + "\n")
		}
	}
	if !s.Empty() {
		b.WriteByte('\n')
		for _, batch := range texts(schema.Install("sqlcmd.sql")) {
			b.WriteString(batch + "\nGO\n")
		}
	}
	for _, sec := range s.sections() {
		b.WriteByte('\n')
		if sec.title != "" {
			fmt.Fprintf(&b, "-- %s\n", sec.title)
		}
		for _, batch := range sec.batches {
			b.WriteString(batch + "\nGO\n")
		}
	}
	_, err := io.WriteString(w, marked(b.String()))
	return err
}
