// Package choose decides which partner is principal, and whether the watchdog forces service.
//
// Everything here is pure: an [Observation] is what one probe learned, a [View] is what is known of both
// partners, and [Decide] and [DecideWatchdog] are functions of these, of what was accepted before, and of the
// time. Nothing here asks a server, waits or locks. A decision costs no allocation but its reason.
package choose
