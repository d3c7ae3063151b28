package config_test

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// A valid address has a host, and parsing its String gives the same address.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"SQL1", `SQL1\STATE`, "tcp:SQL1,1444", "sql1:1433", "[::1]:1", "::1", "(local)", `.\SQLEXPRESS`, "np:x", "a,b", "a,99999", `a\`, "[::1%lo]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := config.ParseAddress(text)
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats the text: %v", err)
			}
			return
		}
		again, err := config.ParseAddress(a.String())
		if a.Host == "" || a.Port < 0 || a.Port > 65535 || err != nil || again != a {
			t.Errorf("%q is %+v, written %s, read again as %+v, %v", text, a, a, again, err)
		}
	})
}

// A valid size is not negative and fits in memory.
func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"4MiB", "64 KiB", "1GiB", "9223372036854775807", "99999999999GiB", "-1", "0x10B", "", "1 MiB B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := config.ParseSize(text); err == nil && n < 0 {
			t.Errorf("%q is %d", text, n)
		}
	})
}
