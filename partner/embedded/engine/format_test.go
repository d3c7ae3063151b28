package engine

import (
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// Open refuses a folder of another format with an error that says what to do,
// and does not change the folder.
func TestOpen_anotherFormat(t *testing.T) {
	for version, want := range map[string]string{"5": "an earlier version", "99": "a later version"} {
		dir := t.TempDir()
		pair := reopen(t, dir)
		if err := pair.Close(); err != nil {
			t.Fatal(err)
		}
		path := pair.Folder.Database("a", mirror.DatabaseName)
		c, err := storage.OpenConn(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Script("PRAGMA user_version = " + version); err != nil {
			t.Fatal(err)
		}
		_, err = Open(mirror.Options{Schema: schema.Script(), Dir: dir})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "another folder") {
			t.Errorf("format %s: %v", version, err)
		}
		if n, err := c.Number("PRAGMA user_version"); err != nil || strconv.FormatInt(n, 10) != version {
			t.Errorf("format %s became %d, %v", version, n, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
