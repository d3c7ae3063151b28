package textfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorstate/mirrorstate/textfile"
)

func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		in, want string
		err      error
	}{
		"plain":                 {"pässwört\n", "pässwört\n", nil},
		"empty":                 {"", "", nil},
		"UTF-8 with a mark":     {"\xef\xbb\xbfa: b", "a: b", nil},
		"only a mark":           {"\xef\xbb\xbf", "", nil},
		"UTF-16, little-endian": {"\xff\xfea\x00\xe4\x00", "aä", nil},
		"UTF-16, big-endian":    {"\xfe\xff\x00a\x00\xe4", "aä", nil},
		"a surrogate pair":      {"\xff\xfe\x3d\xd8\x00\xde", "😀", nil},
		"half a surrogate pair": {"\xff\xfe\x3d\xd8", "", textfile.ErrEncoding},
		"a reversed pair":       {"\xff\xfe\x00\xde\x3d\xd8", "", textfile.ErrEncoding},
		"half a unit":           {"\xff\xfea", "", textfile.ErrEncoding},
		"UTF-32":                {"\xff\xfe\x00\x00a\x00\x00\x00", "", textfile.ErrEncoding},
		"DER":                   {"\x30\x82\xff\xfe", "\x30\x82\xff\xfe", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := textfile.Decode([]byte(tc.in))
			if string(got) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestReadLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	for in, want := range map[string]string{
		"p4ss": "p4ss", "p4ss\n": "p4ss", "p4ss\r\n": "p4ss", "p4ss\r\n\r\n": "p4ss", " p4ss \n": " p4ss ", "\xef\xbb\xbfp4ss\r\n": "p4ss",
		"\xff\xfep\x004\x00\r\x00\n\x00": "p4", "": "", "\xef\xbb\xbf\r\n": "",
	} {
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := textfile.ReadLine(path); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]error{"a\nb": textfile.ErrNotOneLine, "\na": textfile.ErrNotOneLine, "a\x00": textfile.ErrNotOneLine, "p\xe4ss": textfile.ErrEncoding} {
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := textfile.ReadLine(path); got != "" || !errors.Is(err, want) {
			t.Errorf("%q: got %q, %v; want %v", in, got, err, want)
		}
	}
	if _, err := textfile.ReadLine(path + ".absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLookup(t *testing.T) {
	lookup := textfile.Lookup(func(name string) (string, bool) { return "\ufeffp4ss\r\n", name == "PASSWORD" })
	if got, ok := lookup("PASSWORD"); got != "p4ss" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := lookup("OTHER"); ok {
		t.Error("Lookup found a variable that is not set")
	}
}

// Decode accepts any bytes without a panic, and decoding its own result changes nothing.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "a", "\xef\xbb\xbfa", "\xff\xfea\x00", "\xfe\xff\x00a", "\xff\xfe\x3d\xd8"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := textfile.Decode(text)
		if err != nil && got != nil || len(got) > 2*len(text) {
			t.Fatalf("%q: got %q, %v", text, got, err)
		}
	})
}
