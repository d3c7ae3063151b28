package aspstate

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
)

// TestSentTo: an attempt that a stock schema may have executed left no record for the extension. The first attempt
// that the extension saw, and all later ones, did.
func TestSentTo(t *testing.T) {
	at := time.Now()
	var s sentTo
	for i, c := range []struct {
		extended, resent, want bool
	}{{false, false, false}, {false, true, true}, {true, true, false}, {true, true, true}} {
		a := &partner.Attempt{Extended: c.extended, Resent: c.resent, FirstSent: at, Sent: at.Add(time.Second)}
		got := s.then(a)
		if got.Resent != c.want {
			t.Errorf("attempt %d: sent again %v, want %v", i+1, got.Resent, c.want)
		}
		if a.Resent != c.resent {
			t.Errorf("attempt %d: the pair's own notes were changed", i+1)
		}
		if want := at; !got.Resent && c.resent && got.FirstSent.Equal(want) {
			t.Errorf("attempt %d: first sent when the stock schema was", i+1)
		}
	}
	s = sentTo{}
	if a := s.then(&partner.Attempt{Extended: true, Resent: true}); !a.Resent {
		t.Error("a call that met the extension only is not sent again there")
	}
}
