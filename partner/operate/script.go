package operate

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// Script is a part of a plan that runs on one server.
type Script struct {
	Part    int    `json:"part"` // from 1, in the order in which they are run
	Server  Side   `json:"server"`
	Address string `json:"address"`
	Text    string `json:"script"` // begins with a byte order mark if it is not all ASCII
}

// Titled returns the script after a title line. If the script has a byte order mark, it is before the title.
func (s Script) Titled() string {
	text, marked := strings.CutPrefix(s.Text, byteOrderMark)
	title := fmt.Sprintf("-- ======== part %d, on %s (%s) ========\n", s.Part, s.Server, s.Address)
	if marked {
		title = byteOrderMark + title
	}
	return title + text
}

// Scripts returns the plan as scripts for people, with the same texts that [Runner.Run] sends, in
// the same order and with the same numbers. When the next step is for another server, a new script begins. Each
// script must end before the next one is run.
func (p *Plan) Scripts() []Script {
	var all []Script
	for i := 0; i < len(p.Steps); {
		j := i
		for j < len(p.Steps) && p.Steps[j].On == p.Steps[i].On {
			j++
		}
		all = append(all, Script{Part: len(all) + 1, Server: p.Steps[i].On, Address: p.Servers[p.Steps[i].On]})
		i = j
	}
	n := 0
	for i := range all {
		w := &scriptWriter{}
		first := n
		for n < len(p.Steps) && p.Steps[n].On == all[i].Server {
			n++
		}
		p.head(w, all[i], len(all), first, n)
		for k := first; k < n; k++ {
			w.step(k+1, p.Steps[k])
		}
		if i == len(all)-1 {
			for _, a := range p.After {
				w.comment("%s", a)
			}
		}
		all[i].Text = marked(w.String())
	}
	return all
}

const byteOrderMark = "\ufeff"

// marked returns a script as sqlcmd reads it correctly. A script that is not all ASCII, because of a name in it, begins with
// a byte order mark. Without one sqlcmd reads a file in the code page of its machine.
func marked(script string) string {
	if strings.ContainsFunc(script, func(r rune) bool { return r > unicode.MaxASCII }) {
		return byteOrderMark + "-- In UTF-8, with a byte order mark: keep it, or run sqlcmd with -f 65001.\n" + script
	}
	return script
}

// head writes what the script does, how to run it, and what was not checked.
func (p *Plan) head(w *scriptWriter, s Script, parts, first, end int) {
	w.comment("mirrorstate pair %s, database %s, topology %s.", p.Verb, p.Database, p.Topology)
	w.comment("Part %d of %d, on server %s (%s). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S %s -i FILE", s.Part, parts, s.Server, s.Address, s.Address)
	if s.Part == 1 {
		w.comment("Stop at the first error and fix its cause. Every step can be run again.")
		if len(p.Unchecked) > 0 {
			w.comment("NOT CHECKED, because this was written without asking the servers:")
		}
		for _, u := range p.Unchecked {
			w.comment("  - %s", u)
		}
	}
	variables := p.variables(p.Steps[first:end])
	for _, v := range variables {
		if slices.Contains(p.Secrets, v) {
			w.comment("Choose a password and set it in the environment variable %s, which sqlcmd reads: everybody can read a command line.", v)
		} else {
			w.comment("Give the value that step %d printed: sqlcmd -v %s=VALUE", p.source(v), v)
		}
	}
	w.line("USE [master];")
	w.line("GO")
	for _, v := range variables {
		// Without sqlcmd the name of the variable would become the password.
		w.line("IF N'%s' LIKE N'$' + N'(%%' THROW 50000, N'Run this with sqlcmd, or replace the variable %s by hand.', 1;", variable(v), v)
		w.line("GO")
	}
	w.line("")
}

// variables returns the variables that the steps use: the secrets first, then those read by steps, in order.
func (p *Plan) variables(steps []Step) []string {
	var all []string
	for _, v := range append(slices.Clone(p.Secrets), p.readInto()...) {
		for _, s := range steps {
			if strings.Contains(s.Text, variable(v)) || strings.Contains(s.Unless, variable(v)) {
				all = append(all, v)
				break
			}
		}
	}
	return all
}

func (p *Plan) readInto() (all []string) {
	for _, s := range p.Steps {
		all = append(all, s.Into...)
	}
	return all
}

// source returns the number of the step that reads a variable.
func (p *Plan) source(v string) int {
	return slices.IndexFunc(p.Steps, func(s Step) bool { return slices.Contains(s.Into, v) }) + 1
}

// shortened cuts a text to at most so many UTF-16 units.
func shortened(s string, most int) string {
	units := utf16.Encode([]rune(s))
	if len(units) <= most {
		return s
	}
	return strings.TrimRight(string(utf16.Decode(units[:most])), "%\uFFFD")
}

// plainWords replaces the only non-ASCII character in this package's messages.
func plainWords(s string) string { return strings.ReplaceAll(s, "…", "...") }

type scriptWriter struct{ strings.Builder }

func (w *scriptWriter) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

func (w *scriptWriter) comment(format string, args ...any) {
	// A name with a line end must not become T-SQL.
	w.line("-- %s", strings.Join(strings.FieldsFunc(plainWords(fmt.Sprintf(format, args...)), func(r rune) bool { return r == '\n' || r == '\r' }), " "))
}

// step writes one step as T-SQL.
func (w *scriptWriter) step(n int, s Step) {
	w.comment("%d. %s", n, s.Title)
	if s.Why != "" {
		w.comment("   %s", s.Why)
	}
	switch s.Kind {
	case Check:
		w.line("IF NOT EXISTS (%s)", s.Text)
		w.line("  THROW %s;", s.thrown())
	case Wait:
		w.line("DECLARE @end datetime2 = DATEADD(second, %d, SYSUTCDATETIME());", int(s.Within/time.Second))
		w.line("WHILE NOT EXISTS (%s) AND SYSUTCDATETIME() < @end", s.Text)
		w.pause(s)
		w.line("IF NOT EXISTS (%s)", s.Text)
		w.line("  THROW %s;", s.thrown())
	case Do:
		w.statement(s)
		w.numbers(s)
	default:
		w.line("%s;", s.Text)
	}
	for _, u := range s.Undo {
		w.comment("If it fails, on %s: %s;", u.On, u.Text)
	}
	w.line("GO")
	w.line("")
}

// statement writes the statement of a Do. If the step has Out, the script prints it when the statement fails.
func (w *scriptWriter) statement(s Step) {
	if s.Unless != "" {
		w.line("IF NOT EXISTS (%s)", s.Unless)
	}
	switch {
	case s.Out != "":
		w.line("BEGIN TRY")
		w.line("  %s;", s.Text)
		w.line("END TRY")
		w.line("BEGIN CATCH")
		w.line("  PRINT %s;", text(shortened(plainWords("To recover: "+s.Out), 4000)))
		w.line("  THROW;")
		w.line("END CATCH;")
	case s.Unless != "":
		w.line("  %s;", s.Text)
	default:
		w.line("%s;", s.Text)
	}
}

// pause writes the body of a Wait's loop.
func (w *scriptWriter) pause(s Step) {
	if s.Repeat == nil {
		w.line("  WAITFOR DELAY '00:00:01';")
		return
	}
	w.line("BEGIN")
	w.line("  IF NOT EXISTS (%s)", s.Repeat.Unless)
	w.line("  BEGIN TRY")
	w.line("    %s;", s.Repeat.Text)
	w.line("  END TRY")
	w.line("  BEGIN CATCH")
	w.line("    PRINT ERROR_MESSAGE();")
	w.line("  END CATCH;")
	w.line("  WAITFOR DELAY '00:00:01';")
	w.line("END;")
}

// numbers writes which errors to ignore, and after which to retry.
func (w *scriptWriter) numbers(s Step) {
	for _, n := range []struct {
		what string
		list []int32
	}{{"means that there was nothing to do", s.Ignore}, {"is temporary: run the step again", s.Again}} {
		for _, number := range n.list {
			w.comment("   Error %d %s.", number, n.what)
		}
	}
}

// thrown returns the arguments of THROW: SQL Server's number plus 50000, the message, the state.
func (s Step) thrown() string {
	r := s.refusal()
	message := r.Message
	if r.Number != 0 {
		message = fmt.Sprintf("%d: %s", r.Number, message)
	}
	// In THROW a % begins a placeholder, and a message has at most 2,048 characters.
	message += "; " + r.Advice
	if s.Out != "" {
		message += ". To recover: " + s.Out
	}
	message = strings.ReplaceAll(plainWords(message), "%", "%%")
	return fmt.Sprintf("%d, %s, 1", 50000+r.Number, text(shortened(message, 2048)))
}
