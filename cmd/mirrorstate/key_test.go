package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// Revoking the last key with access to the operators' listener prints a warning; revoking another key does not.
func TestKey_RevokeLastOperator(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	var ids []string
	for _, e := range []keyring.Entry{
		{Name: "shop", Rights: []string{"read"}, Apps: []string{"*"}},
		{Name: "ops", Rights: []string{"operator"}},
		{Name: "metrics", Rights: []string{"observe"}},
		{Name: "forum", Rights: []string{"read"}, Apps: []string{"*"}},
	} {
		_, id, err := keyring.Add(file, e, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for i, warns := range []bool{false, false, true, false} {
		cmd := exec.Command(os.Args[0], "key", "revoke", ids[i], "--keys-file", file)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "revoked "+ids[i]) {
			t.Errorf("key revoke: %v, %s%s", err, out, stderr.String())
		}
		if got := strings.Contains(stderr.String(), "warning: no key has access to the operators' listener now"); got != warns {
			t.Errorf("entry %d: got standard error %q", i, stderr.String())
		}
	}
}
