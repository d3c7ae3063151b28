// Package session is the domain of mirrorstate: what a session is, how it is named, how it is locked, and what a
// [Store] of sessions promises. It knows neither SQL nor HTTP and imports no other package of this module.
//
// The words are those of ASP.NET's SqlSessionStateStore: an item is a serialized session, a lock has a cookie and an
// age, an application has an id that ends the keys of its sessions. Every promise of [Store] is stated on its
// methods, and package storetest proves it for every implementation.
package session
