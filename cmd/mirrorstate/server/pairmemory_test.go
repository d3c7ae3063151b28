package server

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

func TestMemoryFile(t *testing.T) {
	file := func(dir, database string, servers ...string) string {
		var all []config.Address
		for _, text := range servers {
			a, err := config.ParseAddress(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		return memoryFile(dir, database, all...)
	}
	one := file("/state", "ASPState", "SQL1", "sql2,1444")
	if filepath.Dir(one) != "/state" || one != file("/state", "aspstate", "SQL2,1444", "sql1") {
		t.Errorf("the same pair in the other order has another file than %s", one)
	}
	if one != file("/state", "ASPState", "SQL1,1433", "sql2,1444") {
		t.Errorf("the same pair with its default port has another file than %s", one)
	}
	for _, other := range []string{file("/state", "ASPState", "SQL1", "SQL3"), file("/state", "Other", "SQL1", "sql2,1444")} {
		if other == one {
			t.Errorf("another pair has the same file %s", one)
		}
	}
	if got := file("", "ASPState", "SQL1", "SQL2"); got != "" {
		t.Errorf("without a folder the file is %s, want none", got)
	}
	// The file of an earlier version, named by the addresses as they were written, stays in use.
	dir := t.TempDir()
	id := sha256.Sum256([]byte("sql1,1433\nsql2,1433\naspstate"))
	before := filepath.Join(dir, "accepted-"+hex.EncodeToString(id[:8])+".json")
	if err := os.WriteFile(before, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := file(dir, "ASPState", "SQL1,1433", "SQL2,1433"); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
}
