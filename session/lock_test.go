package session

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestNewOperationID(t *testing.T) {
	a, b := NewOperationID(), NewOperationID()
	if a.IsZero() || b.IsZero() || a == b {
		t.Errorf("got %x and %x, want two that differ and are not zero", a, b)
	}
	if !(OperationID{}).IsZero() {
		t.Error("the zero operation id is not zero")
	}
}

func TestLock_String(t *testing.T) {
	for _, cookie := range []int32{0, 1, 2, -1, math.MaxInt32, math.MinInt32} {
		want := Lock{Operation: NewOperationID(), Cookie: cookie}
		handle := want.String()
		got, err := ParseLock(handle)
		if err != nil || got != want {
			t.Errorf("ParseLock(%q) = %v, %v; want %v", handle, got, err, want)
		}
		if strings.Trim(handle, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("the handle %q is not safe in a header or a URL", handle)
		}
	}
	none, err := ParseLock(Lock{}.String())
	if err != nil || !none.IsZero() {
		t.Errorf("the handle of no lock is read as %v, %v; want no lock", none, err)
	}
}

func TestParseLock_Malformed(t *testing.T) {
	handle := Lock{Operation: NewOperationID(), Cookie: 7}.String()
	for _, test := range []struct{ name, in string }{
		{"empty", ""},
		{"cut", handle[:len(handle)-1]},
		{"too long", handle + "A"},
		{"much too long", strings.Repeat(handle, 1000)},
		{"padded", handle + "="},
		{"another alphabet", strings.Repeat("+", len(handle))},
		{"bits that mean nothing", handle[:len(handle)-1] + "B"},
		{"a line end inside", handle[:5] + "\n" + handle[5:]},
		{"one byte less", base64.RawURLEncoding.EncodeToString(make([]byte, lockLength-1))},
		{"one byte more", base64.RawURLEncoding.EncodeToString(make([]byte, lockLength+1))},
		{"words", "the lock is mine"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseLock(test.in)
			if !errors.Is(err, ErrLockLost) || !got.IsZero() {
				t.Errorf("got %v, %v; want no lock and %v", got, err, ErrLockLost)
			}
		})
	}
}

func FuzzParseLock(f *testing.F) {
	for _, seed := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAB", "=", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lock, err := ParseLock(s)
		if err != nil {
			if !errors.Is(err, ErrLockLost) || !lock.IsZero() {
				t.Errorf("ParseLock(%q) = %v, %v; want no lock and %v", s, lock, err, ErrLockLost)
			}
			return
		}
		if got := lock.String(); got != s {
			t.Errorf("ParseLock(%q) has the handle %q: two handles of one lock", s, got)
		}
	})
}
