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
