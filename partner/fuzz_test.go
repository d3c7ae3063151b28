package partner

import (
	"encoding/json"
	"testing"
)

// A memory file is either read completely or refused. A record that was read stays the same when written and
// read again.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"database":"ASPState","partner":"a","epoch":3,"sequence":2}`))
	f.Add([]byte(`{"version":1,"database":"x","partner":"c"}`))
	f.Add([]byte(`{"version":1,"database":"x","partner":"a","overruled":{"partner":"a"}} {}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRecord(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseRecord(again); err != nil || back != r {
			t.Errorf("%s is read as %+v, written as %s, and read again as %+v, %v", text, r, again, back, err)
		}
	})
}
