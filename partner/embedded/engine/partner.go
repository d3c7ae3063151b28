package engine

import (
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/logins"
	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
)

// Partner is one of the two servers, as its clients see it. Its methods are safe for concurrent use.
type Partner struct {
	*mirror.Instance
	texts  parsedTexts
	counts counters

	passwords logins.KnownPasswords
	failures  logins.FailedLogins

	preparedBytes atomic.Int64 // bytes of the texts that all sessions have prepared

	planted planted // set by tests
}
