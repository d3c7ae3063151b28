package session

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

// Source of the vectors: facts, aspstate-schema §5.
func TestEncodeID(t *testing.T) {
	var counting, ones, first [idBytes]byte
	for i := range idBytes {
		counting[i], ones[i] = byte(i), 0xFF
	}
	first[0] = 0x80
	for _, test := range []struct {
		name  string
		bytes [idBytes]byte
		want  ID
	}{
		{"00 to 0E", counting, "aiaeqbqafqboaeebkycyqgyb"},
		{"all zero", [idBytes]byte{}, ID(strings.Repeat("a", 24))},
		{"all ones", ones, ID(strings.Repeat("5", 24))},
		{"80 and zeroes", first, "aeaaaaaaaaaaaaaaaaaaaaaa"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := encodeID(test.bytes); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNewID(t *testing.T) {
	seen := make(map[ID]bool)
	for range 1000 {
		id := NewID()
		if !id.Classic() || seen[id] {
			t.Fatalf("id %q is classic %v, seen before %v; want a new classic one", id, id.Classic(), seen[id])
		}
		seen[id] = true
		if parsed, err := ParseID(string(id)); err != nil || parsed != id {
			t.Fatalf("ParseID(%q) = %q, %v", id, parsed, err)
		}
	}
}

func TestParseID(t *testing.T) {
	long := strings.Repeat("x", MaxIDLength)
	for _, test := range []struct {
		name, in string
		want     ID // empty: refused
	}{
		{"as ASP.NET makes it", "4m4irghotazmxblpyakfaw1d", "4m4irghotazmxblpyakfaw1d"},
		{"as ASP.NET makes it, in capitals", "4M4IRGHOTAZMXBLPYAKFAW1D", "4m4irghotazmxblpyakfaw1d"},
		{"24 characters with a 6 are no classic id: case is kept", "6M4IRGHOTAZMXBLPYAKFAW1D", "6M4IRGHOTAZMXBLPYAKFAW1D"},
		{"23 characters are no classic id: case is kept", "M4IRGHOTAZMXBLPYAKFAW1D", "M4IRGHOTAZMXBLPYAKFAW1D"},
		{"a kelvin sign is no k", "\u212aiaeqbqafqboaeebkycyqgyb", "\u212aiaeqbqafqboaeebkycyqgyb"},
		{"a dotted capital I is no i", "a\u0130aeqbqafqboaeebkycyqgyb", "a\u0130aeqbqafqboaeebkycyqgyb"},
		{"one character", "x", "x"},
		{"signs", "a/b%c'd\"e;--", "a/b%c'd\"e;--"},
		{"letters that are not ASCII", "séance", "séance"},
		{"80 characters", long, ID(long)},
		{"80 characters of two bytes", strings.Repeat("é", 80), ID(strings.Repeat("é", 80))},
		{"40 characters of two UTF-16 units", strings.Repeat("😀", 40), ID(strings.Repeat("😀", 40))},

		{"empty", "", ""},
		{"81 characters", long + "x", ""},
		{"41 characters of two UTF-16 units", strings.Repeat("😀", 41), ""},
		{"a blank", "a b", ""},
		{"a blank at the end", "abc ", ""},
		{"a blank that is not ASCII", "a\u00a0b", ""},
		{"a line end", "abc\n", ""},
		{"a zero", "a\x00b", ""},
		{"a delete", "a\x7fb", ""},
		{"a control character that is not ASCII", "a\u0085b", ""},
		{"not UTF-8", "a\xffb", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseID(test.in)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			wantInvalid(t, err, test.want == "", "session id")
		})
	}
}

// wantInvalid wants an *InvalidError about what, or none.
func wantInvalid(t *testing.T, err error, want bool, what string) {
	t.Helper()
	if !want {
		if err != nil {
			t.Errorf("got error %v, want none", err)
		}
		return
	}
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got error %v, want an *InvalidError", err)
	}
	if invalid.What != what || invalid.Reason == "" || !strings.HasPrefix(err.Error(), what+" ") {
		t.Errorf("got an error about %q: %q; want one about %q", invalid.What, err, what)
	}
}

func TestID_Classic(t *testing.T) {
	for _, test := range []struct {
		id   ID
		want bool
	}{
		{"aiaeqbqafqboaeebkycyqgyb", true},
		{"012345012345012345012345", true},
		{"AIAEQBQAFQBOAEEBKYCYQGYB", false}, // ParseID makes it lower case first
		{"aiaeqbqafqboaeebkycyqgy6", false},
		{"aiaeqbqafqboaeebkycyqgy", false},
		{"aiaeqbqafqboaeebkycyqgybb", false},
		{"", false},
	} {
		if got := test.id.Classic(); got != test.want {
			t.Errorf("ID(%q).Classic() = %v, want %v", test.id, got, test.want)
		}
	}
}

// Source: a public capture, facts, aspstate-schema §4.
func TestID_Key(t *testing.T) {
	app := HashApplicationName("/LM/W3SVC/1/ROOT")
	if got, want := ID("4m4irghotazmxblpyakfaw1d").Key(app), "4m4irghotazmxblpyakfaw1d2014c0f1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "4M4IRGHOTAZMXBLPYAKFAW1D", "a b", "séance", "😀", "\xff", strings.Repeat("x", 81)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			wantInvalid(t, err, true, "session id")
			return
		}
		if again, err := ParseID(string(id)); err != nil || again != id {
			t.Errorf("ParseID(%q) = %q, and of that %q, %v", s, id, again, err)
		}
		if key := utf16.Encode([]rune(id.Key(-1))); len(key) > 88 {
			t.Errorf("ParseID(%q) gives a key of %d characters; the column takes 88", s, len(key))
		}
		if !strings.EqualFold(string(id), s) {
			t.Errorf("ParseID(%q) = %q, another id", s, id)
		}
	})
}
