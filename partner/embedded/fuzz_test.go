package embedded

import "testing"

// A date as text is one that can be kept, or none.
func FuzzDatetime(f *testing.F) {
	for _, seed := range []string{"2026-11-26 01:02:03.997", "1753-01-01 00:00:00", "9999-12-31T23:59:59.9999999", "2026-02-30 00:00:00", "0001-01-01 00:00:00.", "2026-11-26 24:00:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := parseDatetime(text); ok {
			if again, ok := parseDatetime(d.text()); !ok || again != d {
				t.Errorf("%q is %s, which is read as %s, %t", text, d.text(), again.text(), ok)
			}
		}
		if d, ok := parseDatetime2(text); ok {
			if again, ok := parseDatetime2(d.text()); !ok || again != d {
				t.Errorf("%q is %s, which is read as %s, %t", text, d.text(), again.text(), ok)
			}
		}
	})
}
