package config_test

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// Several spellings of one server have the same normal form, and are refused as a pair.
func TestAddress_Canonical(t *testing.T) {
	for _, same := range [][]string{
		{"SQL1", "sql1", "SQL1,1433", "sql1:1433", `SQL1\MSSQLSERVER`, "tcp:SQL1,1433", `SQL1\STATE,1433`, "SQL1."},
		{`SQL1\STATE`, `sql1\state`},
		{"SQL1,1444", `SQL1\STATE,1444`, `SQL1\OTHER,1444`},
		{"localhost", ".", "(local)", "127.0.0.1", "[::1]:1433"},
		{"2001:db8::1", "2001:DB8:0::1"},
		{"SQL2"}, {"127.0.0.1,1444"}, {"sql1.example.net"},
	} {
		first, err := config.ParseAddress(same[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range same[1:] {
			a, err := config.ParseAddress(text)
			if err != nil || a.Canonical() != first.Canonical() {
				t.Errorf("the normal form of %s is %v, not %v as of %s; %v", text, a.Canonical(), first.Canonical(), same[0], err)
			}
			if _, err := load(t, "", map[string]string{"MIRRORSTATE_PAIR_A_ADDRESS": same[0], "MIRRORSTATE_PAIR_B_ADDRESS": text,
				"MIRRORSTATE_PAIR_USER": "u", "MIRRORSTATE_PAIR_PASSWORD": "p"}); !mistaken(err, "both partners are the same server") {
				t.Errorf("%s and %s as a pair: got %v", same[0], text, err)
			}
		}
		if other, _ := config.ParseAddress("SQL9"); first.Canonical() == other.Canonical() {
			t.Errorf("%s has the normal form of SQL9", same[0])
		}
	}
	seen := map[config.Address]string{}
	for _, text := range []string{"SQL1", `SQL1\STATE`, "SQL1,1444", "SQL2", "localhost", "localhost,1444", "sql1.example.net"} {
		a, err := config.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[a.Canonical()]; ok {
			t.Errorf("%s and %s have the same normal form", before, text)
		}
		seen[a.Canonical()] = text
	}
}
