package tsql

import "testing"

// A declaration and a date are parsed or refused, without a panic.
func FuzzParseType(f *testing.F) {
	for _, seed := range []string{"nvarchar(88)", "varbinary(max)", "decimal(38,2)", "datetime2(7)", "int", "nvarchar(", "x(-1)", "2026-11-26T01:02:03", "11/26/2026 1:02", "01:02:03.1234567"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseType(text); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		if at, err := ParseDateTime(text); err == nil && (at.Year() < 1 || at.Year() > 9999) {
			t.Errorf("%q is %v", text, at)
		}
	})
}
