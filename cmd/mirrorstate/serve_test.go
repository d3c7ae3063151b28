package main

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

func TestExampleAlias(t *testing.T) {
	for _, c := range []struct {
		apps map[string]config.App
		want string
	}{
		{map[string]config.App{"shop": {}, "default": {}, "admin": {}}, "default"},
		{map[string]config.App{"shop": {}, "blog": {}}, "blog"},
	} {
		if got := exampleAlias(c.apps); got != c.want {
			t.Errorf("exampleAlias(%v) is %q, want %q", c.apps, got, c.want)
		}
	}
}
