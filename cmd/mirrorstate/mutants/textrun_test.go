package mutants

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Hundreds of mutants break T-SQL, which is embedded in the program. Each of them would make the go
// command build the packages that use it again. So the tests are built once, with a schema that
// they read from a folder.

const schemaFolder = "session/aspstate/schema"

// folderVariable is the environment variable with the folder's path.
const folderVariable = "MIRRORSTATE_MUTANT_SCHEMA"

// fromFolder returns a schema.go that reads the files of a folder instead of the embedded ones.
func fromFolder(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, schemaFolder, "schema.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"\t\"embed\"\n", ""},
		{"\t\"io/fs\"\n", "\t\"io/fs\"\n\t\"os\"\n"},
		{"//go:embed *.sql install/*.sql\nvar files embed.FS\n", "var files = os.DirFS(os.Getenv(\"" + folderVariable + "\")).(fs.ReadFileFS)\n"},
	} {
		if bytes.Count(text, []byte(change[0])) != 1 {
			t.Fatalf("schema.go does not have this text once:\n%s", change[0])
		}
		text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
	}
	return text
}

// schema.go still has the texts that fromFolder replaces.
func TestMutants_SchemaFromFolder(t *testing.T) { fromFolder(t) }

// textBinaries are the built tests that read the schema from a folder, by package.
type textBinaries map[string]string

// build builds the tests of the mutants.
func (b textBinaries) build(t *testing.T, chosen []mutant) {
	t.Helper()
	for _, m := range chosen {
		if m.within == "" || b[m.pkg] != "" {
			continue
		}
		binary := filepath.Join(t.TempDir(), "tests")
		overlay := overlayOf(t, schemaFolder+"/schema.go", fromFolder(t))
		if r := runGo(t, root, buildTime, "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+m.pkg); len(r.lines) > 0 {
			t.Fatalf("the tests of %s do not build with a schema from a folder:\n%s", m.pkg, r.tail())
		}
		b[m.pkg] = binary
	}
}

// runTests runs the mutant's test with the broken T-SQL.
func (b textBinaries) runTests(t *testing.T, m mutant, limit time.Duration) *report {
	t.Helper()
	text, err := m.broken()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, schemaFolder))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, filepath.Base(m.file)), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(folderVariable, folder)
	return runGo(t, filepath.Join(root, m.pkg), limit+buildTime, "tool", "test2json", b[m.pkg],
		"-test.v=test2json", "-test.failfast", "-test.timeout", limit.String(), "-test.run", pattern([]string{m.test}))
}
