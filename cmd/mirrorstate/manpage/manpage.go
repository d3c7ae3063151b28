// Package manpage writes pages for man(1), one for each command of a program. A page has the text of --help. The
// package does not fold or align text: the formatter does that.
package manpage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Book is the data that all pages of a program share.
type Book struct {
	Version  string    // shown at the foot of each page
	Date     time.Time // shown there too; zero: no date
	Sections []Section // further sections of the page of the program itself, after its options
}

// Section is a part of a page.
type Section struct {
	Title string // in upper case, as usual in manual pages
	Items []Item
}

// Item is a term with its explanation.
type Item struct{ Term, Text string }

// Write writes the pages of root and of all commands below it that are not hidden. The folder dir must exist.
func Write(dir string, root *cobra.Command, b Book) error {
	if err := os.WriteFile(filepath.Join(dir, name(root)+".1"), Page(root, b), 0o644); err != nil {
		return err
	}
	for _, sub := range shown(root) {
		if err := Write(dir, sub, b); err != nil {
			return err
		}
	}
	return nil
}

// name returns the name of a command's page, such as mirrorstate-pair-setup.
func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// shown returns the commands below cmd that have a page.
func shown(cmd *cobra.Command) (subs []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}

// Page returns the page of one command, in the macros of man(7).
func Page(cmd *cobra.Command, b Book) []byte {
	p := &page{}
	date := ""
	if !b.Date.IsZero() {
		date = b.Date.UTC().Format(time.DateOnly)
	}
	root := cmd.Root().Name()
	p.line(".TH %s 1 %s %s %s", quoted(strings.ToUpper(name(cmd))), quoted(date), quoted(root+" "+b.Version), quoted(root+" manual"))
	p.heading("NAME")
	p.line(`%s \- %s`, escaped(name(cmd)), escaped(cmd.Short))
	p.heading("SYNOPSIS")
	p.line("%s", bold(synopsis(cmd)))
	p.heading("DESCRIPTION")
	p.text(description(cmd))
	p.commands(cmd)
	p.flags("OPTIONS", cmd.NonInheritedFlags())
	p.flags("INHERITED OPTIONS", cmd.InheritedFlags())
	if !cmd.HasParent() {
		for _, s := range b.Sections {
			p.heading(s.Title)
			for _, i := range s.Items {
				p.item(bold(i.Term), i.Text)
			}
		}
	}
	if cmd.Example != "" {
		p.heading("EXAMPLES")
		p.verbatim(strings.Split(strings.Trim(cmd.Example, "\n"), "\n"))
	}
	p.seeAlso(cmd)
	return p.Bytes()
}

// synopsis returns the usage line of a command.
func synopsis(cmd *cobra.Command) string {
	if len(shown(cmd)) > 0 {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

// description returns the long text of a command, or its short text with a full stop.
func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return strings.TrimRight(cmd.Short, ".") + "."
}

// page is a page that is being written.
type page struct{ bytes.Buffer }

// line writes one line. The arguments must be escaped.
func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) heading(title string) { p.line(".SH %s", quoted(title)) }

// item writes a formatted term, and its text below it.
func (p *page) item(term, text string) {
	p.line(".TP\n%s\n%s", term, escaped(text))
}

// text writes paragraphs. It does not fill lines that begin with a blank.
func (p *page) text(s string) {
	var block []string
	flush := func() {
		p.verbatim(block)
		block = nil
	}
	for l := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		switch {
		case strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t"):
			block = append(block, l)
		case strings.TrimSpace(l) == "":
			flush()
			p.line(".PP")
		default:
			flush()
			p.line("%s", escaped(l))
		}
	}
	flush()
}

// verbatim writes lines without filling them.
func (p *page) verbatim(lines []string) {
	if len(lines) == 0 {
		return
	}
	p.line(".RS 4\n.nf")
	for _, l := range lines {
		p.line("%s", escaped(strings.TrimPrefix(strings.TrimLeft(l, "\t"), "  ")))
	}
	p.line(".fi\n.RE")
}

func (p *page) commands(cmd *cobra.Command) {
	subs := shown(cmd)
	if len(subs) == 0 {
		return
	}
	p.heading("COMMANDS")
	for _, sub := range subs {
		p.item(fmt.Sprintf(`.BR %s (1)`, escaped(name(sub))), sub.Short)
	}
}

// flags writes the flags of a set, except --help, which every command has.
func (p *page) flags(title string, set *pflag.FlagSet) {
	begun := false
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if !begun {
			p.heading(title)
			begun = true
		}
		value, usage := pflag.UnquoteUsage(f)
		term := bold("--" + f.Name)
		if f.Shorthand != "" {
			term = bold("-"+f.Shorthand) + ", " + term
		}
		if value != "" {
			term += ` \fI` + escaped(value) + `\fR`
		}
		p.item(term, usage+preset(f))
	})
}

// preset returns the default of a flag for its text; "" if the default is an empty or zero value.
func preset(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	return fmt.Sprintf(" (default %s)", f.DefValue)
}

// seeAlso names the pages of the parent command and of its other commands.
func (p *page) seeAlso(cmd *cobra.Command) {
	if !cmd.HasParent() {
		return
	}
	pages := []*cobra.Command{cmd.Parent()}
	for _, sub := range shown(cmd.Parent()) {
		if sub != cmd && cmd.Parent().HasParent() {
			pages = append(pages, sub)
		}
	}
	p.heading("SEE ALSO")
	for i, other := range pages {
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		p.line(`.BR %s (1)%s`, escaped(name(other)), comma)
	}
}

func bold(s string) string { return `\fB` + escaped(s) + `\fR` }

// quoted returns the text as a quoted argument of a request.
func quoted(s string) string { return `"` + strings.ReplaceAll(escaped(s), `"`, `\(dq`) + `"` }

// escaped returns the text without any meaning for the formatter. Hyphens become signs that can be searched for and
// copied. Characters outside of ASCII are written by their numbers, so that the locale does not matter.
func escaped(s string) string {
	var b strings.Builder
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		b.WriteString(`\&`)
	}
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\n':
			b.WriteByte(' ')
		case r > 126:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
