package engine

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// A text either parses to a date with the same text, or does not parse.
func FuzzDatetime(f *testing.F) {
	for _, seed := range []string{"2026-11-26 01:02:03.997", "1753-01-01 00:00:00", "9999-12-31T23:59:59.9999999", "2026-02-30 00:00:00", "0001-01-01 00:00:00.", "2026-11-26 24:00:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := sqlvalue.ParseDatetime(text); ok {
			if again, ok := sqlvalue.ParseDatetime(d.Text()); !ok || again != d {
				t.Errorf("%q is %s, which is read as %s, %t", text, d.Text(), again.Text(), ok)
			}
		}
		if d, ok := sqlvalue.ParseDatetime2(text); ok {
			if again, ok := sqlvalue.ParseDatetime2(d.Text()); !ok || again != d {
				t.Errorf("%q is %s, which is read as %s, %t", text, d.Text(), again.Text(), ok)
			}
		}
	})
}
