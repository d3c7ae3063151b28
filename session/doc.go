// Package session is the domain of mirrorstate: what a session is, how it is
// named, how it is locked, and what a [Store] of sessions promises. It knows
// neither SQL nor HTTP and imports nothing else of this module.
//
// The words are those of ASP.NET's SqlSessionStateStore: an item is the
// serialized session, a lock has a cookie and an age, an application has an id
// that is the suffix of its sessions' keys. Every promise of [Store] is stated
// on its methods and proved, for every implementation, by package storetest.
package session
