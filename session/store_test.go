package session

import (
	"encoding/hex"
	"strings"
	"testing"
)

// The first is vector V1 of facts, session-item-format.
func TestEmptyItem(t *testing.T) {
	for _, test := range []struct {
		timeout int
		want    string
	}{{20, "140000000000FF"}, {1, "010000000000FF"}, {MaxTimeout, "200508000000FF"}} {
		if got := strings.ToUpper(hex.EncodeToString(EmptyItem(test.timeout))); got != test.want {
			t.Errorf("EmptyItem(%d) = %s, want %s", test.timeout, got, test.want)
		}
	}
}

// The vector is from facts, session-item-format §6: .NET's reader accepts it as an empty collection.
func TestEmptyContent(t *testing.T) {
	item := EmptyContent(20)
	if got, want := strings.ToUpper(hex.EncodeToString(item)), "14000000010000000000FF"; got != want {
		t.Errorf("EmptyContent(20) = %s, want %s", got, want)
	}
	if !IsEmptyContent(item) || !IsEmptyContent(EmptyContent(MaxTimeout)) {
		t.Error("it is not recognized")
	}
	for _, other := range [][]byte{nil, EmptyItem(20), append(EmptyContent(20), 0), []byte("01234567890")} {
		if IsEmptyContent(other) {
			t.Errorf("%x passes for it", other)
		}
	}
}
