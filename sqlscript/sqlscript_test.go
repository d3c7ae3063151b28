package sqlscript_test

import (
	"slices"
	"testing"

	"github.com/mirrorstate/mirrorstate/sqlscript"
)

func TestSplit(t *testing.T) {
	for script, want := range map[string][]sqlscript.Batch{
		"":                             nil,
		"\n \ngo\n":                    nil,
		"SELECT 1":                     {{1, "SELECT 1"}},
		"SELECT 1\r\nGO\r\nSELECT 2\n": {{1, "SELECT 1"}, {3, "SELECT 2"}},
		"a\nb\n go \nGO\n\nc":          {{1, "a\nb"}, {5, "\nc"}},
		"a\nGO 2\nb\nGO 0\nc\nGO x":    {{1, "a"}, {1, "a"}, {5, "c\nGO x"}},
		"GOTO x\nGO":                   {{1, "GOTO x"}},
	} {
		if got := sqlscript.Split(script); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", script, got, want)
		}
	}
}
