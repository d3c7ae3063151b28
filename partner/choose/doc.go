// Package choose decides which partner is principal, and whether the watchdog forces service.
//
// Everything in this package is pure: it sends nothing, waits for nothing and takes no lock. Time is an
// argument.
//
//   - [Observation] is what one probe learned about one partner (observation.go).
//   - [View] is what is known about both partners, and the last decision (view.go, mirroring.go).
//   - [Decide] chooses the principal from two observations and the last accepted principal (decide.go, claim.go).
//   - [DecideWatchdog] decides whether to force service on the mirror (watchdog.go).
//
// A decision allocates only its reason text.
package choose
