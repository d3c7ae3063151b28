package keyring

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asName resolves an application to its lower-cased name.
func asName(app string) (string, error) { return strings.ToLower(app), nil }

// newRing returns a ring of the entries, and a new key for each entry that has no certificate.
func newRing(t *testing.T, entries ...Entry) (*Ring, []string) {
	t.Helper()
	var keys []string
	for i := range entries {
		e := &entries[i]
		e.Name = "n"
		if e.Certificate != "" {
			e.ID = newID()
			keys = append(keys, "")
			continue
		}
		key, id := NewKey()
		sum := hash(key)
		e.ID, e.SHA256 = id, hex.EncodeToString(sum[:])
		keys = append(keys, key)
	}
	r, err := NewRing(entries, asName)
	if err != nil {
		t.Fatal(err)
	}
	return r, keys
}

func TestRing_Key(t *testing.T) {
	now := time.Now()
	r, keys := newRing(t,
		Entry{Apps: []string{"/A"}, Rights: []string{"read", "lock"}},
		Entry{Apps: []string{"*"}, Rights: []string{"read"}, Expires: now.Add(time.Minute)})
	c, err := r.Key(keys[0], now)
	if err != nil || !c.May(Read, "/a") || !c.May(Read|Lock, "/a") || c.May(Write, "/a") || c.May(Read|Write, "/a") || c.May(Read, "/b") || c.May(Observe, "") {
		t.Errorf("the first key's caller is %+v, %v", c, err)
	}
	if c, err = r.Key(keys[1], now); err != nil || !c.May(Read, "/whatever") || c.May(Lock, "/a") {
		t.Errorf("the second key's caller is %+v, %v", c, err)
	}
	if _, err = r.Key(keys[1], now.Add(time.Minute)); !errors.Is(err, ErrExpired) {
		t.Errorf("an expired key: %v", err)
	}
	// Only a caller with the whole key learns that it has expired; otherwise it is unknown.
	for name, key := range map[string]string{
		"an empty key": "", "a prefix": keys[0][:63], "one character too many": keys[0] + "a", "another secret": keys[0][:63] + "0", "the other's secret": keys[0][:12] + keys[1][12:],
		"another prefix": "xx" + keys[0][2:], "upper case": strings.ToUpper(keys[0]), "no underscore": keys[0][:11] + "-" + keys[0][12:], "a NUL": keys[0][:63] + "\x00",
	} {
		if c, err := r.Key(key, now.Add(time.Hour)); c != nil || !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func TestRing_Certificate(t *testing.T) {
	now := time.Now()
	r, _ := newRing(t,
		Entry{Certificate: "Web1.example.net", Apps: []string{"/a"}, Rights: []string{"read"}},
		Entry{Certificate: "old.example.net", Apps: []string{"/a"}, Rights: []string{"read"}, Expires: now.Add(-time.Second)},
		Entry{Certificate: "by name", Rights: []string{"observe"}})
	for _, c := range []struct {
		name, common string
		dns          []string
		want         error
	}{
		{"by its DNS name, in another case", "", []string{"WEB1.example.NET"}, nil},
		{"by its second DNS name", "x", []string{"x.example.net", "web1.example.net"}, nil},
		{"by its common name", "by name", nil, nil},
		{"by its common name although it has a DNS name", "by name", []string{"x.example.net"}, ErrUnknown},
		{"of an expired entry", "", []string{"old.example.net"}, ErrExpired},
		{"by an unknown name", "nobody", nil, ErrUnknown},
		{"without a name", "", nil, ErrUnknown},
	} {
		_, err := r.Certificate(&x509.Certificate{DNSNames: c.dns, Subject: pkix.Name{CommonName: c.common}, NotAfter: now}, now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := r.Certificate(&x509.Certificate{DNSNames: []string{"web1.example.net"}, NotAfter: now.Add(-time.Second)}, now); !errors.Is(err, ErrExpired) {
		t.Errorf("an expired certificate: %v", err)
	}
	if !r.Operators() {
		t.Error("the right observe gives no access to the operators' listener")
	}
}

func TestRing_NoAllocation(t *testing.T) {
	r, keys := newRing(t, Entry{Apps: []string{"/a"}, Rights: []string{"read"}})
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		if c, err := r.Key(keys[0], now); err != nil || !c.May(Read, "/a") {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func TestEntry_Check(t *testing.T) {
	good := Entry{ID: "i", Name: "n", SHA256: strings.Repeat("a", 64), Apps: []string{"a"}, Rights: []string{"read"}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Entry){
		"is not one of read":          func(e *Entry) { e.Rights = []string{"reed"} },
		"id or name is missing":       func(e *Entry) { e.ID = "" },
		"no control characters":       func(e *Entry) { e.Name = "a\nb" },
		"and not both":                func(e *Entry) { e.Certificate = "x" },
		"give sha256 or certificate":  func(e *Entry) { e.SHA256 = "" },
		"no rights":                   func(e *Entry) { e.Rights = nil },
		"but no apps":                 func(e *Entry) { e.Apps = nil },
		"no right to their sessions":  func(e *Entry) { e.Rights = []string{"observe"} },
		"is not 64 hexadecimal digit": func(e *Entry) { e.SHA256 = strings.Repeat("g", 64) },
	} {
		e := good
		change(&e)
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q", err, says)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	now := time.Now()
	e := Entry{Name: "shop", Apps: []string{"/a"}, Rights: []string{"read"}}
	key, id, err := Add(path, e, now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), key[12:]) {
		t.Errorf("the file has the key's secret, or can't be read: %v", err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	keys, err := Open(Options{Path: path, Resolve: asName, Rate: 5, Burst: 5})
	if err != nil {
		t.Fatal(err)
	}
	c, err := keys.Ring().Key(key, now)
	if err != nil || c.ID != id || c.Name != "shop" || c.Bucket == nil {
		t.Fatalf("the key's caller is %+v, %v", c, err)
	}

	second, _, err := Add(path, e, now)
	if err != nil || second == key {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	if again, err := keys.Ring().Key(key, now); err != nil || again.Bucket != c.Bucket {
		t.Errorf("a key that was not changed is %+v, %v; want the same bucket", again, err)
	}

	t.Run("an invalid file changes nothing", func(t *testing.T) {
		whole, _ := os.ReadFile(path)
		for _, broken := range []string{"", "{", `{"keys":[{"id":"x"}]}`, `{"keys":[],"kees":[]}`, string(whole) + "{}", strings.Replace(string(whole), `"rights"`, `"right"`, 1)} {
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := keys.Reload(); err == nil {
				t.Errorf("%.30q was accepted", broken)
			}
			if _, err := keys.Ring().Key(key, now); err != nil {
				t.Errorf("after %.30q: %v", broken, err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := keys.Reload(); err != nil {
			t.Fatal(err)
		}
	})

	if _, err := Revoke(path, "nobody"); err == nil || !strings.Contains(err.Error(), "no key has the id") {
		t.Errorf("revoke of an unknown id: %v", err)
	}
	if gone, err := Revoke(path, id); err != nil || len(gone) != 1 || gone[0].ID != id {
		t.Fatalf("revoked %v, %v", gone, err)
	}
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Ring().Key(key, now); !errors.Is(err, ErrUnknown) {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := keys.Ring().Key(second, now); err != nil {
		t.Errorf("the other key: %v", err)
	}
	if got := keys.Stats(); got.Entries != 1 || got.Failures != 6 || got.Reloads != 2 {
		t.Errorf("counted %+v", got)
	}
}

func TestFile_Refuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes exist on Unix only")
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := Open(Options{Path: path, Resolve: asName}); err == nil || !strings.Contains(err.Error(), "mirrorstate key new") {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o646); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file everybody may write: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Add(path, Entry{Name: "n", Rights: []string{"observe"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("an edit changed the mode to %v", info.Mode())
	}
}

// lockedBuffer is a log that can be read while another goroutine writes it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // owned by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// If the file can't be read or has gone, Run logs it and keeps the keys. It reads the file as soon as it can.
func TestKeys_RunTriesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	e := Entry{Name: "n", Rights: []string{"observe"}}
	key, _, err := Add(path, e, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	keys, err := Open(Options{Path: path, Resolve: asName, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keys.Run(ctx) }()
		later := func(known bool, errors int, what string) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if _, err := keys.Ring().Key(key, time.Now()); (err == nil) != known {
				t.Errorf("%s: the key gives %v", what, err)
			}
			if got := strings.Count(log.String(), "level=ERROR"); got != errors {
				t.Errorf("%s: %d errors were logged, want %d:\n%s", what, got, errors, log.String())
			}
		}
		later(true, 0, "nothing happened")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		later(true, 1, "the file has gone")
		if err := os.WriteFile(path+".next", []byte(`{"keys":[]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path+".next", 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" {
			later(true, 2, "everybody may write it")
		}
		if err := os.Chmod(path, 0o600); err != nil { // changes neither time nor size
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if keys.Ring().Len() != 0 {
			t.Error("the file can be read again, but was not read")
		}
		cancel()
		<-ended
	})
}

// Edit follows a link to the file and keeps it: a reader of the linked file sees the edit.
func TestEdit_Link(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "keys.json"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("keys.json", link); err != nil {
		t.Skip(err) // Windows requires a privilege for links
	}
	if _, _, err := Add(link, Entry{Name: "n", Rights: []string{"observe"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if entries, err := ReadFile(file); err != nil || len(entries) != 1 {
		t.Errorf("the file has %v, %v", entries, err)
	}
	if to, err := os.Readlink(link); err != nil || to != "keys.json" {
		t.Errorf("the link points to %q, %v", to, err)
	}
}

// Concurrent edits lose nothing: one succeeds, the others return an error.
func TestEdit_Excludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]bool{}
	for range 20 {
		wg.Go(func() {
			_, id, err := Add(path, Entry{Name: "n", Rights: []string{"observe"}}, time.Now())
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				made[id] = true
			} else if !strings.Contains(err.Error(), "another edit is running") {
				t.Errorf("an edit failed for another reason: %v", err)
			}
		})
	}
	wg.Wait()
	entries, err := ReadFile(path)
	if err != nil || len(entries) != len(made) || len(made) == 0 {
		t.Errorf("%d keys were made, the file has %d: %v", len(made), len(entries), err)
	}
	for _, e := range entries {
		if !made[e.ID] {
			t.Errorf("%s is in the file, but no edit made it", e.ID)
		}
	}
}

// FuzzParse checks that any file is either refused or gives a ring with all its entries.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"id":"i","name":"n","sha256":"` + strings.Repeat("a", 64) + `","apps":["*"],"rights":["read"],"created":"2026-01-02T03:04:05Z"}]}`))
	f.Add([]byte(`{"keys":[{"id":"i","name":"n","certificate":"c","rights":["operator"],"created":"2026-01-02T03:04:05Z","expires":"2026-01-02T03:04:05Z"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parse(text)
		if err != nil {
			return
		}
		r, err := NewRing(entries, asName)
		if err == nil && r.Len() != len(entries) {
			t.Errorf("%d entries became %d", len(entries), r.Len())
		}
	})
}

// FuzzKey checks that a ring accepts no text but the key that was issued.
func FuzzKey(f *testing.F) {
	key, id := NewKey()
	sum := hash(key)
	r, err := NewRing([]Entry{{ID: id, Name: "n", SHA256: hex.EncodeToString(sum[:]), Rights: []string{"observe"}}}, asName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add("ms_" + id + "_")
	f.Add(strings.Repeat("\x00", keyLength))
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := r.Key(text, time.Now()); (err == nil) != (text == key) || (c != nil) != (err == nil) {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	})
}

func BenchmarkRing_Key(b *testing.B) {
	key, id := NewKey()
	sum := hash(key)
	r, err := NewRing([]Entry{{ID: id, Name: "n", SHA256: hex.EncodeToString(sum[:]), Apps: []string{"/a"}, Rights: []string{"read"}}}, asName)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Key(key, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
