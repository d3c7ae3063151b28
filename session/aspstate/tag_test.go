package aspstate

import (
	"bytes"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/session"
)

// Every tick of datetime, 1/300 s, is unchanged after it was put into a tag and read from it, because If-Match
// compares Created for equality. Source: facts, tds-mirroring-wire §5.
func TestVersion_EveryTickOfCreated(t *testing.T) {
	second := time.Date(2026, 11, 22, 21, 0, 7, 0, time.UTC)
	for tick := range 300 {
		ms := (tick*10 + 1) / 3 // 0, 3, 7, 10, 13, …
		created := second.Add(time.Duration(ms) * time.Millisecond)
		v, ok := parseVersion(version{created: created, cookie: int32(tick), locked: tick%2 == 1, newest: bytes.Repeat([]byte{7}, 16)}.tag())
		if !ok || v.cookie != int32(tick) || v.locked != (tick%2 == 1) || len(v.newest) != 16 {
			t.Fatalf("tick %d comes back as %+v", tick, v)
		}
		if got := time.Time(mssql.DateTime1(v.created)); !got.Equal(created) {
			t.Errorf("tick %d: created %v comes back as %v", tick, created, got)
		}
	}
}

func TestParseVersion_Refuses(t *testing.T) {
	for _, tag := range []session.Tag{"", "x", "sAAAA", "not base64!", stockTag(1, []byte("item"))} {
		if v, ok := parseVersion(tag); ok {
			t.Errorf("%q is taken for %+v", tag, v)
		}
	}
}

func TestTimeoutOf(t *testing.T) {
	for _, c := range []struct {
		item []byte
		want int
	}{
		{session.EmptyItem(20), 20},
		{session.EmptyItem(525600), 525600},
		{session.EmptyItem(0), 0},
		{[]byte("hello world"), 0},
		{nil, 0},
		{[]byte{20, 0, 0, 0, 2, 0, 0xFF}, 0},
	} {
		if got := timeoutOf(c.item); got != c.want {
			t.Errorf("timeoutOf(%x) = %d, want %d", c.item, got, c.want)
		}
	}
}
