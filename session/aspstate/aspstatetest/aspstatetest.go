// Package aspstatetest gives tests an embedded pair with ASPState: the stock objects and the extension.
package aspstatetest

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// Start is [embeddedtest.Start] with ASPState.
func Start(t testing.TB) *embedded.Pair {
	t.Helper()
	return StartWith(t, embeddedtest.Options{})
}

// StartWith is [embeddedtest.StartWith] with ASPState, but for empty servers.
func StartWith(t testing.TB, o embeddedtest.Options) *embedded.Pair {
	t.Helper()
	if !o.Empty {
		o.Schema = schema.Script()
	}
	return embeddedtest.StartWith(t, o)
}
