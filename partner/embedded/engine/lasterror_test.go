package engine

import (
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

func TestLastError(t *testing.T) {
	var s storage.LastError
	for i, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {errors.New("disk full"), true}, {errors.New("disk full"), false}, {errors.New("gone"), true}, {errors.New("gone"), false},
		{nil, false}, {nil, false}, {errors.New("gone"), true},
	} {
		if got := s.IsNew(c.err); got != c.want {
			t.Errorf("%d: %v is new: %v, want %v", i, c.err, got, c.want)
		}
	}
}
