package main

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

func TestShownAlias(t *testing.T) {
	for _, c := range []struct {
		apps map[string]config.App
		want string
	}{
		{map[string]config.App{"shop": {}, "default": {}, "admin": {}}, "default"},
		{map[string]config.App{"shop": {}, "blog": {}}, "blog"},
	} {
		if got := shownAlias(c.apps); got != c.want {
			t.Errorf("shownAlias(%v) is %q, want %q", c.apps, got, c.want)
		}
	}
}
