package operator

import (
	"os"
	"path/filepath"
	"testing"
)

// The password of --witness-password-file is added to the witness's connection string.
func TestFlags_WitnessString(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("p4ss;\"word\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Flags{witness: "data source=SQL3;user id=sa", witnessPassword: file}
	if got, err := f.witnessString(); err != nil || got != `data source=SQL3;user id=sa;password="p4ss;""word"` {
		t.Errorf("got %q, %v", got, err)
	}
}
