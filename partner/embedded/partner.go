package embedded

import "sync/atomic"

// Partner is one of the two servers, as its clients see it. Its methods may be called by anybody at any time.
type Partner struct {
	*instance
	texts  parsedTexts
	counts counters

	passwords knownPasswords
	failures  failedLogins

	preparedBytes atomic.Int64 // of the texts that all sessions have prepared

	planted planted // by tests
}
