package session

import (
	"context"
	"testing"
	"time"
)

func TestCallerOf(t *testing.T) {
	outer := &CallerContext{Context: t.Context(), Caller: "outer"}
	inner := &CallerContext{Context: outer, Caller: "inner"}
	timed, cancel := context.WithTimeout(inner, time.Hour)
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"no caller", t.Context(), ""},
		{"itself", outer, "outer"},
		{"the nearest", inner, "inner"},
		{"through another context", timed, "inner"},
		{"without its end", context.WithoutCancel(timed), "inner"},
	} {
		if got := CallerOf(c.ctx); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { CallerOf(timed) }); n != 0 {
		t.Errorf("asking allocates %v times", n)
	}
}
