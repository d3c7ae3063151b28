package proxy

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// testSecret is a fleet's secret.
const testSecret = "0123456789abcdef0123456789ABCDEF"

func theSecret(context.Context) ([]byte, error) { return []byte(testSecret), nil }

func sealerOf(t testing.TB, secret []byte) *sealer {
	t.Helper()
	s, err := newSealer(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	sealApp  = &session.Application{Name: "/lm/w3svc/1/root"}
	sealRef  = session.Ref{App: sealApp, ID: "aiaeqbqafqboaeebkycyqgyb"}
	sealLock = session.Lock{Operation: session.OperationID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Cookie: 7}
	sealTag  = session.Tag("AAABogU17YcAAAABABwmvVOo3hvPwuyBFkT0Gak")
)

// asWritten seals according to the comment on sealer, with the standard library's counter mode.
func asWritten(t *testing.T, secret, label, app, id string, plain []byte) string {
	t.Helper()
	key := func(what string) []byte {
		k, err := hkdf.Key(sha256.New, []byte(secret), nil, "mirrorstate 1 "+label+" "+what, 32)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	mac := hmac.New(sha256.New, key("mac"))
	mac.Write([]byte(label))
	for _, part := range []string{app, id} {
		_ = binary.Write(mac, binary.BigEndian, uint16(len(part)))
		mac.Write([]byte(part))
	}
	mac.Write(plain)
	iv := mac.Sum(nil)[:16]
	block, err := aes.NewCipher(key("cipher"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := append([]byte{}, plain...)
	cipher.NewCTR(block, iv).XORKeyStream(sealed, sealed)
	return base64.RawURLEncoding.EncodeToString(append(iv, sealed...))
}

// The sealed forms must not change: other proxies of the fleet, and later versions, must make the same.
func TestSealer_Vectors(t *testing.T) {
	for _, v := range []struct {
		name, secret string
		ref          session.Ref
		lock         session.Lock
		tag          session.Tag
		handle       string
		sealedTag    string
	}{
		{"a fleet's", testSecret, sealRef, sealLock, sealTag, "4x93iluS_euSo9_dSwnOXZ9x6KigBANmyFBAGaxNfPfZV76m", "q2SHPk94zxwemrsCjzrsg-m812BTa04Dl30JJCN5GEzKZDdmnEpUfP0q7N1_sJmJuNjEHNR0gA"},
		{"no operation id", testSecret, sealRef, session.Lock{Cookie: -1}, "s", "P3c_rsH_YvtfJKWpH04i8g6Fc9gb4xJ-9dMjJBs9IJQ8ZRFe", "YpagwWOtKLy-HUrvlJUe8a8"},
		{"a long id, a long tag", testSecret, session.Ref{App: sealApp, ID: session.ID(strings.Repeat("é", 80))}, sealLock, session.Tag(strings.Repeat("x", 200)), "LqonEUEfzjFi6sKRJzs-TwBRFr6Heo44b1ZFvgpYVoqa9B78", "L830b6fUihq1EMv4zgwio8j5IapW1osCldKTWaC2Hd_zXx4NvnEXvK1jhdNccDoW7fmboVuiSWmeVL3gds9h1xO_cLBNdAvaZWR_asxje1fP_sCVDf59gF4KoT6-YIxYcCApKSz7WLq6zpHkO3RLp_TleItP9tV7UpCQ2DQXQZH1XEQypDsJKJ_kdsHv2i61FkJ-gasEWHbmQjNZ8lpFeetP-S-Mk2Gxob1XDN5TAX9DtGXamm88cTIlvMthyXfWh_0I-sWfKuqPrqTYxenoR5DePUJ5hYdO"},
		{"a stock schema's", "", sealRef, sealLock, sealTag, "SMox1oIouwBMaOmT1Tl1Ndva5kGYpTWVEWqmcUvLi2KcaXcr", "tpRpO3tmH-k5Sx0xn4SpKeT7IfwAwqr77fvfHnvnncf1OmXmNwBgSgjc_KMTTST_BkdQawUfVA"},
	} {
		t.Run(v.name, func(t *testing.T) {
			secret, opened := []byte(v.secret), v.lock
			if v.secret == "" {
				secret, v.secret = nil, publicSecret
				v.lock.Operation, opened.Operation = session.OperationID{0xff}, session.OperationID{} // with the public key the operation id is not sealed
			}
			s := sealerOf(t, secret)
			handle, tag := s.handle(v.ref, v.lock), strings.Trim(s.tag(v.ref, v.tag), `"`)
			if handle != v.handle || tag != v.sealedTag {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", handle, tag, v.handle, v.sealedTag)
			}
			plain := binary.BigEndian.AppendUint32(opened.Operation[:], uint32(v.lock.Cookie))
			if want := asWritten(t, v.secret, "lock", v.ref.App.Name, string(v.ref.ID), plain); handle != want {
				t.Errorf("the handle is %s, and as written %s", handle, want)
			}
			if want := asWritten(t, v.secret, "tag", v.ref.App.Name, string(v.ref.ID), []byte(v.tag)); tag != want {
				t.Errorf("the tag is %s, and as written %s", tag, want)
			}
			if got, err := s.openHandle(v.ref, handle); err != nil || got != opened {
				t.Errorf("the handle opens as %+v, %v; want %+v", got, err, opened)
			}
			if got, ok := s.openTag(v.ref, tag); !ok || got != v.tag {
				t.Errorf("the tag opens as %q, %t; want %q", got, ok, v.tag)
			}
		})
	}
}

// A text that was sealed for one session, as one kind and with one secret does not open for another.
func TestSealer_Bound(t *testing.T) {
	s := sealerOf(t, []byte(testSecret))
	handle, tag := s.handle(sealRef, sealLock), strings.Trim(s.tag(sealRef, sealTag), `"`)
	moved := session.Ref{App: &session.Application{Name: sealApp.Name + "a"}, ID: sealRef.ID[1:]} // the same characters in a row
	for name, other := range map[string]struct {
		s   *sealer
		ref session.Ref
	}{
		"another session":     {s, session.Ref{App: sealApp, ID: "aiaeqbqafqboaeebkycyqgya"}},
		"another application": {s, session.Ref{App: &session.Application{Name: "/lm/w3svc/2/root"}, ID: sealRef.ID}},
		"the parts shifted":   {s, moved},
		"another secret":      {sealerOf(t, []byte(testSecret[1:]+"0")), sealRef},
		"no secret":           {sealerOf(t, nil), sealRef},
	} {
		if lock, err := other.s.openHandle(other.ref, handle); !errors.Is(err, session.ErrLockLost) || !lock.IsZero() {
			t.Errorf("%s: the handle opens as %+v, %v", name, lock, err)
		}
		if tag, ok := other.s.openTag(other.ref, tag); ok || tag != "" {
			t.Errorf("%s: the tag opens as %q", name, tag)
		}
	}
	// A tag whose plaintext is that of a lock, and a lock whose plaintext is that of a tag.
	plain := binary.BigEndian.AppendUint32(sealLock.Operation[:], uint32(sealLock.Cookie))
	if _, err := s.openHandle(sealRef, strings.Trim(s.tag(sealRef, session.Tag(plain)), `"`)); !errors.Is(err, session.ErrLockLost) {
		t.Errorf("a tag opens as a lock: %v", err)
	}
	if _, ok := s.openTag(sealRef, handle); ok {
		t.Error("a handle opens as a tag")
	}
}

// Ids that are equal in the database are equal here too.
func TestSealer_WithoutCase(t *testing.T) {
	s := sealerOf(t, []byte(testSecret))
	for _, pair := range [][2]session.ID{{"Own-Id", "oWN-iD"}, {"@[`{Z", "@[`{z"}} {
		a, b := session.Ref{App: sealApp, ID: pair[0]}, session.Ref{App: sealApp, ID: pair[1]}
		if got, err := s.openHandle(b, s.handle(a, sealLock)); err != nil || got != sealLock {
			t.Errorf("the lock of %s as that of %s is %+v, %v", pair[0], pair[1], got, err)
		}
		if s.tag(a, sealTag) != s.tag(b, sealTag) {
			t.Errorf("%s and %s have two tags of one version", pair[0], pair[1])
		}
	}
}

func TestSealer_Malformed(t *testing.T) {
	s := sealerOf(t, []byte(testSecret))
	handle, tag := s.handle(sealRef, sealLock), strings.Trim(s.tag(sealRef, sealTag), `"`)
	for _, sealed := range []string{handle, tag} {
		last := sealed[:len(sealed)-1]
		texts := []string{
			"", "=", last, sealed + "A", sealed + "=", strings.Repeat("+", len(sealed)), strings.Repeat(sealed, 100), sealed[:5] + "\n" + sealed[5:],
			sealed + "\n", strings.Repeat("A", len(sealed)), sealed[:21], strings.ToUpper(sealed), "the lock is mine",
		}
		for i := range sealed { // every bit is changed
			for _, c := range "AB" {
				if changed := sealed[:i] + string(c) + sealed[i+1:]; changed != sealed {
					texts = append(texts, changed)
				}
			}
		}
		for _, text := range texts {
			if lock, err := s.openHandle(sealRef, text); !errors.Is(err, session.ErrLockLost) || !lock.IsZero() {
				t.Errorf("as a handle %q is %+v, %v", text, lock, err)
			}
			if tag, ok := s.openTag(sealRef, text); ok || tag != "" {
				t.Errorf("as a tag %q is %q", text, tag)
			}
		}
	}
	if _, err := s.openHandle(sealRef, s.handle(sealRef, session.Lock{})); !errors.Is(err, session.ErrLockLost) {
		t.Errorf("no lock opens: %v", err)
	}
}

// With the public key no handle names an operation.
func TestSealer_Public(t *testing.T) {
	s := sealerOf(t, nil)
	forged := asWritten(t, publicSecret, "lock", sealApp.Name, string(sealRef.ID), binary.BigEndian.AppendUint32(sealLock.Operation[:], 7))
	if got, err := s.openHandle(sealRef, forged); err != nil || got != (session.Lock{Cookie: 7}) {
		t.Errorf("a forged handle opens as %+v, %v", got, err)
	}
	if len(forged) != handleLength {
		t.Errorf("a handle has %d characters, and not %d", len(forged), handleLength)
	}
}

// Equal versions have equal tags, and different versions have different tags. A sealed text does not show its
// plaintext.
func TestSealer_Deterministic(t *testing.T) {
	s, again := sealerOf(t, []byte(testSecret)), sealerOf(t, []byte(testSecret))
	seen := map[string]bool{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if s.tag(sealRef, sealTag) != again.tag(sealRef, sealTag) || s.handle(sealRef, sealLock) != again.handle(sealRef, sealLock) {
					t.Error("two forms of one thing")
				}
			}
		})
	}
	all.Wait()
	for i := range 1000 {
		lock := sealLock
		lock.Cookie = int32(i)
		for _, text := range []string{s.handle(sealRef, lock), s.tag(sealRef, session.Tag(hex.EncodeToString(binary.AppendUvarint(nil, uint64(i)))))} {
			if seen[text] {
				t.Fatalf("%s stands for two", text)
			}
			seen[text] = true
			if b, _ := base64.RawURLEncoding.DecodeString(strings.Trim(text, `"`)); bytes.Contains(b, lock.Operation[:4]) {
				t.Errorf("%x shows the operation id", b)
			}
		}
	}
}

// Only texts that this sealer made can be opened, and sealing the result gives the same text.
func FuzzSealer(f *testing.F) {
	s, public := sealerOf(f, []byte(testSecret)), sealerOf(f, nil)
	for _, k := range []*sealer{s, public} {
		f.Add("/lm/w3svc/1/root", string(sealRef.ID), k.handle(sealRef, sealLock))
		f.Add("/lm/w3svc/1/root", string(sealRef.ID), strings.Trim(k.tag(sealRef, sealTag), `"`))
	}
	f.Fuzz(func(t *testing.T, app, id, text string) {
		ref := session.Ref{App: &session.Application{Name: app}, ID: session.ID(id)}
		if len(app) > session.MaxApplicationName || len(id) > 4*session.MaxIDLength {
			return
		}
		for _, k := range []*sealer{s, public} {
			if lock, err := k.openHandle(ref, text); err == nil && (lock.IsZero() || !k.public && k.handle(ref, lock) != text) || err != nil && !errors.Is(err, session.ErrLockLost) {
				t.Errorf("the handle %q opens as %+v, %v", text, lock, err)
			}
			if tag, ok := k.openTag(ref, text); ok && k.tag(ref, tag) != `"`+text+`"` {
				t.Errorf("the tag %q opens as %q", text, tag)
			}
			sealed := k.tag(ref, session.Tag(text))
			if tag, ok := k.openTag(ref, sealed[1:len(sealed)-1]); ok != (len(sealed)-2 <= maxSealed) || ok && string(tag) != text {
				t.Errorf("the tag %q is sealed and opens as %q, %t", text, tag, ok)
			}
		}
	})
}

func BenchmarkSealer(b *testing.B) {
	s := sealerOf(b, []byte(testSecret))
	handle, tag := s.handle(sealRef, sealLock), strings.Trim(s.tag(sealRef, sealTag), `"`)
	for name, do := range map[string]func(){
		"tag/seal": func() { s.tag(sealRef, sealTag) }, "tag/open": func() { s.openTag(sealRef, tag) },
		"lock/seal": func() { s.handle(sealRef, sealLock) }, "lock/open": func() { _, _ = s.openHandle(sealRef, handle) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}
