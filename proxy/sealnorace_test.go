//go:build !race

package proxy

import (
	"strings"
	"testing"
)

// A sealer allocates only what it returns. (The race detector drops values from sync.Pool at random.)
func TestSealer_Allocations(t *testing.T) {
	s := sealerOf(t, []byte(testSecret))
	handle, tag := s.handle(sealRef, sealLock), strings.Trim(s.tag(sealRef, sealTag), `"`)
	for name, c := range map[string]struct {
		most float64
		do   func()
	}{
		"seal a tag": {1, func() { s.tag(sealRef, sealTag) }}, "seal a lock": {1, func() { s.handle(sealRef, sealLock) }},
		"open a tag": {1, func() { s.openTag(sealRef, tag) }}, "open a lock": {0, func() { _, _ = s.openHandle(sealRef, handle) }},
	} {
		if n := testing.AllocsPerRun(200, c.do); n > c.most {
			t.Errorf("%s: %v allocations, want %v", name, n, c.most)
		}
	}
}
