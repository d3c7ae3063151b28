package integration

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var mark = flag.Bool("mark", false, "write into testdata what the embedded partner answers now; read the difference before you commit it")

// refusal matches the feature that a 40510 names.
var refusal = regexp.MustCompile(`^error 40510 [^:]*: (.*?)(?: with this text .*)? is not supported`)

// refusedBy returns the feature that the first error of a response refuses; empty: the error is not a
// 40510.
func refusedBy(got []string) string {
	for _, event := range got {
		if strings.HasPrefix(event, "error ") {
			if m := refusal.FindStringSubmatch(event); m != nil {
				return m[1]
			}
			return ""
		}
	}
	return ""
}

// markTrue reports whether the snippet's mark, or its absence, matches the response of the embedded
// partner.
func (s *snippet) markTrue(got []string) bool {
	switch {
	case agrees(s.answer, got):
		return s.mark == 0
	case s.refused != "":
		words := refusedBy(got)
		return words != "" && strings.Contains(words, s.refused)
	}
	return s.wrong != nil && agrees(s.wrong, got)
}

// marked returns the text of a file with the marks that match the responses; got has the responses by the
// line of ==.
func marked(text string, all []snippet, got map[int][]string) string {
	lines := strings.Split(text, "\n")
	for _, s := range slices.Backward(all) {
		answer, asked := got[s.line]
		if !asked || s.markTrue(answer) {
			continue
		}
		if s.markEnd[0] > 0 {
			lines = slices.Delete(lines, s.markEnd[0]-1, s.markEnd[1]-1)
		}
		words := refusedBy(answer)
		if words == "" && !agrees(s.answer, answer) {
			block := append([]string{"=>embedded"}, answer...)
			if len(answer) == 0 {
				block = append(block, "nothing")
			}
			lines = slices.Insert(lines, s.answerEnd, block...)
			words = "wrong"
		} else if words != "" {
			words = "40510 " + words
		}
		if s.mark > 0 {
			lines = slices.Delete(lines, s.mark-1, s.mark)
		}
		if words != "" && !agrees(s.answer, answer) {
			lines = slices.Insert(lines, s.line+1, "embedded: "+words)
		}
	}
	return strings.Join(lines, "\n")
}

// write writes the marks of a theme.
func (th *theme) write(t *testing.T, got map[int][]string) {
	t.Helper()
	text, err := os.ReadFile(th.path)
	if err != nil {
		t.Fatal(err)
	}
	if now := marked(string(text), th.all, got); now != string(text) {
		if err := os.WriteFile(th.path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: the marks have changed", filepath.Base(th.path))
	}
}

// Marks are added, changed and removed where they do not match, and left unchanged where they do.
func TestMarked(t *testing.T) {
	const text = `# one
== a
source: P
SELECT 1
=>
row 1

== b
source: P
embedded: wrong
SELECT 1
=>
row 1
=>embedded
row 2

# two
== c
source: P
embedded: 40510 Statement 'X'
X
=>
nothing
`
	all, err := parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string) []string {
		return []string{"error 40510 class 16 state 1 line 1: " + what + " is not supported by the embedded partner."}
	}
	for _, c := range []struct {
		name    string
		a, b, c []string
		want    func(string) string
	}{
		{"true marks are kept", []string{"row 1"}, []string{"row 2"}, refused("Statement 'X'"), func(s string) string { return s }},
		{"untrue marks are removed", []string{"row 1"}, []string{"row 1"}, []string{}, func(s string) string {
			s = strings.Replace(s, "embedded: wrong\n", "", 1)
			s = strings.Replace(s, "=>embedded\nrow 2\n", "", 1)
			return strings.Replace(s, "embedded: 40510 Statement 'X'\n", "", 1)
		}},
		{"other answers", []string{"row 5"}, []string{"row 3", "count 1"}, []string{"print x"}, func(s string) string {
			s = strings.Replace(s, "source: P\nSELECT 1\n=>\nrow 1\n", "source: P\nembedded: wrong\nSELECT 1\n=>\nrow 1\n=>embedded\nrow 5\n", 1)
			s = strings.Replace(s, "row 2\n", "row 3\ncount 1\n", 1)
			s = strings.Replace(s, "embedded: 40510 Statement 'X'", "embedded: wrong", 1)
			return strings.Replace(s, "nothing\n", "nothing\n=>embedded\nprint x\n", 1)
		}},
		{"refusals", refused("CREATE TABLE t with this text (only those of our own)"), refused("Clause 'Y'"), []string{"print x", refused("Clause 'Z'")[0]}, func(s string) string {
			s = strings.Replace(s, "source: P\nSELECT 1", "source: P\nembedded: 40510 CREATE TABLE t\nSELECT 1", 1)
			s = strings.Replace(s, "embedded: wrong\n", "embedded: 40510 Clause 'Y'\n", 1)
			s = strings.Replace(s, "=>embedded\nrow 2\n", "", 1)
			return strings.Replace(s, "Statement 'X'", "Clause 'Z'", 1)
		}},
		{"an answer that is empty", []string{}, []string{"row 2"}, refused("Statement 'X'"), func(s string) string {
			return strings.Replace(s, "source: P\nSELECT 1\n=>\nrow 1\n", "source: P\nembedded: wrong\nSELECT 1\n=>\nrow 1\n=>embedded\nnothing\n", 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := marked(text, all, map[int][]string{2: c.a, 8: c.b, 18: c.c})
			if want := c.want(text); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			again, err := parse("f", got)
			if err != nil {
				t.Fatal(err)
			}
			for i, answer := range [][]string{c.a, c.b, c.c} {
				if !again[i].markTrue(answer) {
					t.Errorf("the mark of %s does not match", again[i].name)
				}
			}
		})
	}
}
