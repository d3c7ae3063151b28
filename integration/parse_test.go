package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// snippet is a snippet of the corpus.
type snippet struct {
	name, source string
	line         int      // of ==
	batches      []string // as sent
	answer       []string // the manual's answer, one event per line
	refused      string   // the words of the 40510 with which the embedded partner refuses it; empty: not refused
	wrong        []string // the embedded partner's wrong answer; nil: its answer is the documented one
	mark         int      // the line of embedded:, if there is one
	markEnd      [2]int   // the lines of =>embedded and its answer, the second exclusive
	answerEnd    int      // the answer's last line
}

// parser reads a file of the corpus line by line.
type parser struct {
	file string
	at   int // number of the line
	all  []snippet
	cur  *snippet
	part part
	text []string // text of the batch
}

// part is the part of a snippet that a line belongs to.
type part int

const (
	between part = iota // between two snippets
	header
	batch
	answer
	embeddedAnswer
)

// parse parses the snippets of a file. An error contains the file and the line.
func parse(file, text string) ([]snippet, error) {
	p := &parser{file: file}
	names := map[string]int{}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		p.at = i + 1
		if err := p.take(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.at, err)
		}
	}
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.at, err)
	}
	for _, s := range p.all {
		if first := names[s.name]; first > 0 {
			return nil, fmt.Errorf("%s:%d: the name %q is already used in line %d", file, s.line, s.name, first)
		}
		names[s.name] = s.line
	}
	return p.all, nil
}

// take parses one line.
func (p *parser) take(line string) error {
	if name, ok := strings.CutPrefix(line, "== "); ok {
		return p.begin(strings.TrimSpace(name))
	}
	switch p.part {
	case between:
		if line != "" && !strings.HasPrefix(line, "#") {
			return fmt.Errorf("%q is outside of a snippet: a snippet begins with a line == and its name", line)
		}
		return nil
	case header:
		return p.header(line)
	case batch:
		return p.batch(line)
	}
	return p.event(line)
}

func (p *parser) begin(name string) error {
	if err := p.end(); err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("the snippet has no name")
	}
	p.cur, p.part = &snippet{name: name, line: p.at}, header
	return nil
}

// header parses source: and embedded:, and the first line after them.
func (p *parser) header(line string) error {
	s := p.cur
	if source, ok := strings.CutPrefix(line, "source:"); ok && s.source == "" {
		if s.source = strings.TrimSpace(source); s.source == "" {
			return fmt.Errorf("source: must name a page of the manual")
		}
		return nil
	}
	mark, ok := strings.CutPrefix(line, "embedded:")
	if !ok {
		if s.source == "" {
			return fmt.Errorf("the snippet %q has no line source:", s.name)
		}
		p.part = batch
		return p.batch(line)
	}
	if s.mark > 0 {
		return fmt.Errorf("duplicate line embedded:, the first one is line %d", s.mark)
	}
	s.mark = p.at
	kind, words, _ := strings.Cut(strings.TrimSpace(mark), " ")
	switch {
	case kind == "40510" && words != "":
		s.refused = words
	case kind == "40510":
		return fmt.Errorf("embedded: 40510 must be followed by words of the refusal's message")
	case kind != "wrong" || words != "":
		return fmt.Errorf("unknown embedded: %s, must be 40510 and words, or wrong", strings.TrimSpace(mark))
	}
	return nil
}

func (p *parser) batch(line string) error {
	switch {
	case line == "GO":
		return p.endBatch()
	case line == "=>":
		p.part = answer
		return p.endBatch()
	case strings.HasPrefix(line, "=>"):
		return fmt.Errorf("unknown line %q: the answer begins with =>", line)
	}
	p.text = append(p.text, line)
	return nil
}

func (p *parser) endBatch() error {
	text := strings.Join(p.text, "\n")
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("the batch is empty")
	}
	p.cur.batches, p.text = append(p.cur.batches, text), nil
	return nil
}

// events matches the lines of an answer.
var events = regexp.MustCompile(`^(columns .+|row .+|count \d+|print( .*)?|nothing|(info|error) \d+( class \d+)?( state \d+)?( procedure [^ :]+)?( line \d+)?(: .*)?)$`)

// event parses a line of an answer.
func (p *parser) event(line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
		return nil
	case line == "=>embedded":
		if p.part == embeddedAnswer || p.cur.mark == 0 || p.cur.refused != "" {
			return fmt.Errorf("=>embedded belongs to a snippet with embedded: wrong, once")
		}
		p.part, p.cur.wrong, p.cur.markEnd = embeddedAnswer, []string{}, [2]int{p.at, p.at + 1}
		return nil
	case !events.MatchString(line):
		return fmt.Errorf("%q is not a line of an answer: must be columns, row, count, print, info, error or nothing", line)
	}
	list := &p.cur.answer
	if p.part == embeddedAnswer {
		list = &p.cur.wrong
		p.cur.markEnd[1] = p.at + 1
	} else {
		p.cur.answerEnd = p.at
	}
	if line == "nothing" {
		*list = append(*list, "")
		return nil
	}
	*list = append(*list, line)
	return nil
}

// end ends the snippet.
func (p *parser) end() error {
	s := p.cur
	if s == nil {
		return nil
	}
	switch {
	case p.part < answer:
		return fmt.Errorf("the snippet %q of line %d has no line =>", s.name, s.line)
	case len(s.answer) == 0:
		return fmt.Errorf("the snippet %q of line %d has no answer: write nothing if it is empty", s.name, s.line)
	case s.mark > 0 && s.refused == "" && len(s.wrong) == 0:
		return fmt.Errorf("the snippet %q of line %d is marked wrong, but has no answer under =>embedded", s.name, s.line)
	}
	s.answer, s.wrong = withoutNothing(s.answer), withoutNothing(s.wrong)
	p.all = append(p.all, *s)
	p.cur, p.part = nil, between
	return nil
}

// withoutNothing returns a list of events without the line nothing; nil stays
// nil.
func withoutNothing(list []string) []string {
	if len(list) == 1 && list[0] == "" {
		return []string{}
	}
	return list
}

func TestParse(t *testing.T) {
	const text = "# why\n\n== one\nsource: Page, Part\nembedded: wrong\nSELECT 1\n\n-- more\nGO\nPRINT 'x'\n=>\ncolumns -\nrow 1\n\n=>embedded\nerror 102 class 15 state 1 line 1: no\n\n== two\nsource: Page\nembedded: 40510 Statement 'X'\nX\n=>\nnothing\n"
	list, err := parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", list)
	const want = "[{name:one source:Page, Part line:3 batches:[SELECT 1\n\n-- more PRINT 'x'] answer:[columns - row 1] refused: wrong:[error 102 class 15 state 1 line 1: no] mark:5 markEnd:[15 17] answerEnd:13} " +
		"{name:two source:Page line:18 batches:[X] answer:[] refused:Statement 'X' wrong:[] mark:20 markEnd:[0 0] answerEnd:23}]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An error in a file is reported with its line.
func TestParse_Mistakes(t *testing.T) {
	const head = "== n\nsource: P\n"
	for _, c := range []struct{ text, want string }{
		{"SELECT 1", `f:1: "SELECT 1" is outside of a snippet`},
		{"== \nsource: P\n", "f:1: the snippet has no name"},
		{"== n\nSELECT 1\n=>\nrow 1\n", `f:2: the snippet "n" has no line source:`},
		{"== n\nsource:\n", "f:2: source: must name a page"},
		{head + "embedded: 40510\n", "f:3: embedded: 40510 must be followed by words"},
		{head + "embedded: 102 x\n", "f:3: unknown embedded: 102 x"},
		{head + "embedded: wrong\nembedded: wrong\n", "f:4: duplicate line embedded:"},
		{head + "=>\nrow 1\n", "f:3: the batch is empty"},
		{head + "SELECT 1\nGO\n\n=>\nrow 1\n", "f:6: the batch is empty"},
		{head + "SELECT 1\n=> row 1\n", `f:4: unknown line "=> row 1"`},
		{head + "SELECT 1\n", `f:4: the snippet "n" of line 1 has no line =>`},
		{head + "SELECT 1\n=>\n", `has no answer`},
		{head + "SELECT 1\n=>\nrows 1\n", `f:5: "rows 1" is not a line of an answer`},
		{head + "SELECT 1\n=>\nerror 1 line 2 class 3\n", `f:5: "error 1 line 2 class 3" is not a line of an answer`},
		{head + "SELECT 1\n=>\nrow 1\n=>embedded\n", "f:6: =>embedded belongs to"},
		{head + "embedded: wrong\nSELECT 1\n=>\nrow 1\n", "is marked wrong, but has no answer"},
		{head + "SELECT 1\n=>\nrow 1\n" + head + "SELECT 1\n=>\nrow 1\n", `f:6: the name "n" is already used in line 1`},
	} {
		if _, err := parse("f", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}
