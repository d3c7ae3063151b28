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
	allowed := ""
	for c := '!'; c <= '~'; c++ {
		allowed += string(c)
	}
	long := strings.Repeat("x", MaxIDLength)
	for _, test := range []struct {
		name, in string
		want     ID // empty: the id is refused
	}{
		{"as ASP.NET makes it", "4m4irghotazmxblpyakfaw1d", "4m4irghotazmxblpyakfaw1d"},
		{"as ASP.NET makes it, in capitals", "4M4IRGHOTAZMXBLPYAKFAW1D", "4m4irghotazmxblpyakfaw1d"},
		{"24 characters with a 6 are not a classic id: case is kept", "6M4IRGHOTAZMXBLPYAKFAW1D", "6M4IRGHOTAZMXBLPYAKFAW1D"},
		{"23 characters are not a classic id: case is kept", "M4IRGHOTAZMXBLPYAKFAW1D", "M4IRGHOTAZMXBLPYAKFAW1D"},
		{"one character", "x", "x"},
		{"signs", "a/b%c'd\"e;--", "a/b%c'd\"e;--"},
		{"printable ASCII, the first half", allowed[:47], ID(allowed[:47])},
		{"printable ASCII, the second half", allowed[47:], ID(allowed[47:])},
		{"Express", "Ab_9-xYzAb_9-xYzAb_9-xYzAb_9-xYz", "Ab_9-xYzAb_9-xYzAb_9-xYzAb_9-xYz"},
		{"Express with a prefix", "sess:Ab_9-xYz", "sess:Ab_9-xYz"},
		{"PHP", "0a,b-9z0a,b-9z0a,b-9z0a,b-9z0a", "0a,b-9z0a,b-9z0a,b-9z0a,b-9z0a"},
		{"Java behind a balancer", "5F2C0B2C8B6E4A0D9D0B.node1", "5F2C0B2C8B6E4A0D9D0B.node1"},
		{"WebLogic", "Qv1xKf!-1234567890!1700000000000", "Qv1xKf!-1234567890!1700000000000"},
		{"base64", "q+/Zz09=", "q+/Zz09="},
		{"a GUID", "{6F9619FF-8B86-D011-B42D-00C04FC964FF}", "{6F9619FF-8B86-D011-B42D-00C04FC964FF}"},
		{"80 characters", long, ID(long)},

		{"empty", "", ""},
		{"81 characters", long + "x", ""},
		// Characters that SQL Server's collations treat as another character, or ignore. Source: the vendor's pages
		// on undefined characters and on the options of collations, and observations.
		{"an accent: É is é", "s\u00e9ance", ""},
		{"an accent apart from its letter", "se\u0301ance", ""},
		{"expanded: ß is ss", "stra\u00dfe", ""},
		{"expanded: æ is ae", "\u00e6on", ""},
		{"a ligature: \ufb01 is fi", "\ufb01n", ""},
		{"width: \uff21 is A", "\uff21bc", ""},
		{"kana: hiragana is katakana", "\u3042", ""},
		{"case of its own: a kelvin sign", "\u212aiaeqbqafqboaeebkycyqgyb", ""},
		{"case of its own: a dotted capital I", "a\u0130aeqbqafqboaeebkycyqgyb", ""},
		{"no weight: a soft hyphen", "co\u00adop", ""},
		{"no weight: a blank of no width", "a\u200bb", ""},
		{"no weight: a joiner", "a\u200db", ""},
		{"no weight: a byte order mark", "\ufeffab", ""},
		{"no weight: a letter that old collations do not know", "a\u04d2b", ""},
		{"no weight: for private use", "a\ue000b", ""},
		{"beyond 16 bits", strings.Repeat("😀", 40), ""},
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

// wantInvalid checks whether err is an *InvalidError about what.
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

// The error names the character and says what to do.
func TestParseID_Explains(t *testing.T) {
	_, err := ParseID("s\u00e9ance")
	if err == nil || !strings.Contains(err.Error(), "U+00E9") || !strings.Contains(err.Error(), "base64url") {
		t.Errorf("got %v", err)
	}
}

// A session has one folded id, in whatever case its id is written.
func TestID_Folded(t *testing.T) {
	for _, test := range []struct{ id, want ID }{
		{"aiaeqbqafqboaeebkycyqgyb", "aiaeqbqafqboaeebkycyqgyb"},
		{"Own-Id_09.@[`{Z", "own-id_09.@[`{z"},
		{"own", "own"},
		{"", ""},
	} {
		got := test.id.Folded()
		if got != test.want || string(test.id.AppendFolded([]byte("x"))) != "x"+string(test.want) {
			t.Errorf("%q is folded to %q and %q, want %q", test.id, got, test.id.AppendFolded(nil), test.want)
		}
		if !strings.EqualFold(string(got), string(test.id)) || test.id.ShortHash() != got.ShortHash() {
			t.Errorf("%q is another id, or has another hash than %q", got, test.id)
		}
	}
}

func TestID_Classic(t *testing.T) {
	for _, test := range []struct {
		id   ID
		want bool
	}{
		{"aiaeqbqafqboaeebkycyqgyb", true},
		{"012345012345012345012345", true},
		{"AIAEQBQAFQBOAEEBKYCYQGYB", false}, // ParseID lower-cases it first
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
