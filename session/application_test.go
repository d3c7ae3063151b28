package session

import (
	"strings"
	"testing"
	"time"
)

// Source of the vectors: facts, aspstate-schema §4; the last from a public blog.
func TestHashApplicationName(t *testing.T) {
	for _, test := range []struct {
		name   string
		want   AppID
		suffix string
	}{
		{"", 5381, "00001505"},
		{"/", 177546, "0002b58a"},
		{"/LM/W3SVC/1/ROOT", 538231025, "2014c0f1"},
		{"/lm/w3svc/1/root", 538231025, "2014c0f1"},
		{"/lm/w3svc/2/root", 729231826, "2b7731d2"},
		{"/lm/w3svc/1/root/myapp", 1701170859, "6565ceab"},
		{"/lm/w3svc/5/root/shop", 1637630142, "619c40be"},
		{"myapp", 174797488, "0a6b32b0"},
	} {
		got := HashApplicationName(test.name)
		if got != test.want || got.Suffix() != test.suffix {
			t.Errorf("HashApplicationName(%q) = %d, suffix %s; want %d, %s", test.name, got, got.Suffix(), test.want, test.suffix)
		}
	}
}

// A negative id is written with its bits as an unsigned number. Source: facts, aspstate-schema §5.
func TestAppID_Suffix(t *testing.T) {
	for _, test := range []struct {
		id   AppID
		want string
	}{{-2010518888, "8829ea98"}, {-1, "ffffffff"}, {0, "00000000"}, {2, "00000002"}} {
		if got := test.id.Suffix(); got != test.want {
			t.Errorf("AppID(%d).Suffix() = %q, want %q", test.id, got, test.want)
		}
	}
}

func TestParseApplicationName(t *testing.T) {
	longest := strings.Repeat("x", MaxApplicationName)
	for _, test := range []struct {
		name, in, want string // an empty want means that the name is refused
	}{
		{"a metabase path, in lower case", "/LM/W3SVC/1/ROOT", "/lm/w3svc/1/root"},
		{"an alias", "Shop", "shop"},
		{"a blank inside", "my shop", "my shop"},
		{"a blank at the beginning", " shop", " shop"},
		{"every sign", "!~%'\"[]", "!~%'\"[]"},
		{"280 bytes", longest, longest},
		{"empty", "", ""},
		{"281 bytes", longest + "x", ""},
		{"a blank at the end", "shop ", ""},
		{"a blank alone", " ", ""},
		{"a letter that is not ASCII", "Läden", ""},
		{"a tab", "my\tshop", ""},
		{"a zero", "shop\x00", ""},
		{"a delete", "shop\x7f", ""},
		{"not UTF-8", "shop\xff", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseApplicationName(test.in)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			wantInvalid(t, err, test.want == "", "application name")
		})
	}
}

func TestParseTimeout(t *testing.T) {
	for _, test := range []struct {
		minutes int
		ok      bool
	}{{MinTimeout, true}, {DefaultTimeout, true}, {MaxTimeout, true}, {0, false}, {-1, false}, {MaxTimeout + 1, false}} {
		wantInvalid(t, ParseTimeout(test.minutes), !test.ok, "timeout")
	}
}

func TestApplication_WithDefaults(t *testing.T) {
	got := Application{Name: "shop"}.WithDefaults()
	want := Application{Name: "shop", Timeout: 20, LockTimeout: 110 * time.Second, MaxItem: 4 << 20}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	own := Application{Name: "shop", Timeout: 5, LockTimeout: time.Second, MaxItem: 7}
	if got := own.WithDefaults(); got != own {
		t.Errorf("got %+v, want its own rules %+v", got, own)
	}
}

func FuzzParseApplicationName(f *testing.F) {
	for _, seed := range []string{"", "/LM/W3SVC/1/ROOT", "shop ", "Läden", "\x00", strings.Repeat("x", 281)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseApplicationName(s)
		if err != nil {
			wantInvalid(t, err, true, "application name")
			return
		}
		if again, err := ParseApplicationName(name); err != nil || again != name {
			t.Errorf("ParseApplicationName(%q) = %q, and of that %q, %v", s, name, again, err)
		}
		if !strings.EqualFold(name, s) || HashApplicationName(name) != HashApplicationName(s) {
			t.Errorf("ParseApplicationName(%q) = %q, another application", s, name)
		}
	})
}
