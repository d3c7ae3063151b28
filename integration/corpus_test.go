package integration

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"
	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snippetTime limits the time of a snippet.
const snippetTime = 20 * time.Second

// The corpus has at least leastSnippets snippets, and the embedded partner answers at most mostWrong of them wrongly.
// The second limit may only decrease.
const (
	leastSnippets = 690
	mostWrong     = 51
)

// theme is a file of the corpus.
type theme struct {
	name, path string
	all        []snippet
}

// corpus reads the files of testdata.
func corpus(t *testing.T) []theme {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var themes []theme
	number, wrong := 0, 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parse(path, string(text))
		if err != nil {
			t.Fatal(err)
		}
		themes = append(themes, theme{strings.TrimSuffix(filepath.Base(path), ".txt"), path, list})
		number += len(list)
		for _, s := range list {
			if s.wrong != nil {
				wrong++
			}
		}
	}
	if number < leastSnippets {
		t.Errorf("%d snippets, want at least %d", number, leastSnippets)
	}
	if wrong > mostWrong {
		t.Errorf("%d snippets are marked wrong, want at most %d", wrong, mostWrong)
	}
	t.Logf("%d snippets, %d of which the embedded partner answers wrongly", number, wrong)
	return themes
}

// The embedded partner answers every snippet as the manual says, except those that are marked.
func TestCorpus(t *testing.T) {
	themes := corpus(t)
	pair := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir()})
	db := open(t, pair.Partner("a").ConnectionString(embedded.DatabaseName))
	for _, th := range themes {
		t.Run(th.name, func(t *testing.T) {
			got := map[int][]string{}
			for _, s := range th.all {
				t.Run(s.name, func(t *testing.T) {
					got[s.line] = run(t, db, "", s)
					if !*mark {
						s.check(t, th.path, got[s.line])
					}
				})
			}
			if *mark {
				th.write(t, got)
			}
		})
	}
}

// check compares the response of the embedded partner with the manual's, or with the one in the snippet's mark.
func (s *snippet) check(t *testing.T, path string, got []string) {
	t.Helper()
	switch {
	case s.mark == 0:
		s.agree(t, path, got)
	case s.markTrue(got):
	case agrees(s.answer, got):
		t.Errorf("%s:%d: the mark is wrong, because the answer is the documented one: remove the mark (-mark)", path, s.mark)
	case s.refused != "":
		t.Errorf("%s:%d: want a refusal by 40510 of %q, got\n%s", path, s.mark, s.refused, strings.Join(got, "\n"))
	default:
		t.Errorf("%s:%d: marked wrong with\n%s\ngot\n%s", path, s.mark, strings.Join(s.wrong, "\n"), strings.Join(got, "\n"))
	}
}

// agree compares a response with the manual's.
func (s *snippet) agree(t *testing.T, path string, got []string) {
	t.Helper()
	if !agrees(s.answer, got) {
		t.Errorf("%s:%d: got\n%s\nwant (%s)\n%s", path, s.line, strings.Join(got, "\n"), s.source, strings.Join(s.answer, "\n"))
	}
}

// A real server answers every snippet as the manual says.
func TestCorpus_RealServer(t *testing.T) {
	dsn := os.Getenv("MIRRORSTATE_TEST_DSN")
	if dsn == "" {
		t.Skip("no real SQL Server: set MIRRORSTATE_TEST_DSN to its connection string")
	}
	themes := corpus(t)
	db := open(t, dsn)
	for _, th := range themes {
		for _, s := range th.all {
			t.Run(th.name+"/"+s.name, func(t *testing.T) { s.agree(t, th.path, run(t, db, "USE tempdb", s)) })
		}
	}
}

// open opens a server. It keeps no idle connection, because each snippet needs a new one.
func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the pool: %v", err)
		}
	})
	return db
}

// run sends the text first and the batches of a snippet on a new connection, and returns all responses.
func run(t *testing.T, db *sql.DB, first string, s snippet) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), snippetTime)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer c.Close()
	if first != "" {
		if _, err := c.ExecContext(ctx, first); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
	}
	all := []string{}
	for _, text := range s.batches {
		list, err := ask(ctx, c, text)
		all = append(all, list...)
		if err != nil {
			t.Fatalf("the connection failed: %v, after\n%s", err, strings.Join(all, "\n"))
		}
	}
	return all
}
