package main

import (
	"regexp"
	"strings"
	"testing"
)

// A command that needs a pair, and has none, says what to type. The advice can be typed as it stands.
func TestNoPair_Advice(t *testing.T) {
	t.Setenv("MIRRORSTATE_PAIR_PASSWORD", "secret")
	for _, args := range []string{"doctor", "webconfig", "install", "uninstall", "pair setup", "pair logins", "pair remove", "pair status --direct", "pair failover --direct", "sweep --direct"} {
		code, stdout, stderr := call(t, strings.Fields(args)...)
		if code != exitMisuse || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, want %d; stdout %q, stderr %q", args, code, exitMisuse, stdout, stderr)
		}
		typed := regexp.MustCompile(`--connection-string "([^"]*)"`).FindStringSubmatch(stderr)
		if typed == nil || !strings.Contains(stderr, "MIRRORSTATE_PAIR_PASSWORD_FILE") || !strings.Contains(stderr, "--web-config FILE") || !strings.Contains(stderr, "--config FILE") {
			t.Errorf("%s does not say what to type: %s", args, stderr)
			continue
		}
		if code, stdout, stderr := call(t, "webconfig", "--connection-string", typed[1]); code != exitDone || !strings.Contains(stdout, "SQL2") {
			t.Errorf("webconfig with the advice of %s: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
}
