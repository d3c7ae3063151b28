package embedded

import (
	"errors"
	"testing"
)

func TestSaid(t *testing.T) {
	var s said
	for i, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {errors.New("disk full"), true}, {errors.New("disk full"), false}, {errors.New("gone"), true}, {errors.New("gone"), false},
		{nil, false}, {nil, false}, {errors.New("gone"), true},
	} {
		if got := s.news(c.err); got != c.want {
			t.Errorf("%d: %v is news: %v, want %v", i, c.err, got, c.want)
		}
	}
}
