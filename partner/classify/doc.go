// Package classify says what an error means for a call: whether the call may run again, and on which partner.
// It also adds advice to an error about a certificate or an instance name. All functions are pure and may be
// called concurrently.
package classify
