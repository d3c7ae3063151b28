package aspstate

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// A tag that can be parsed is one that this package makes: making it again gives the same text.
func FuzzTag(f *testing.F) {
	f.Add(string(version{created: time.UnixMilli(1_700_000_000_003), cookie: 7, locked: true, newest: make([]byte, 16)}.tag()))
	f.Add(string(version{newest: []byte("0123456789abcdef")}.tag()))
	f.Add("AAAABogU17YcAAAABABwmvVOo3hvPwuyBFkT0Gak")
	f.Add("=")
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := parseVersion(session.Tag(text))
		if ok && string(v.tag()) != text {
			t.Errorf("%q is read as %+v, whose tag is %s", text, v, v.tag())
		}
	})
}
