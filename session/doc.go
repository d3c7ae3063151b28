// Package session is the domain of mirrorstate: what a session is, how it is named, how it is locked, and what a
// [Store] of sessions promises. It knows neither SQL nor HTTP and imports no other package of this module.
//
// The words are those of ASP.NET's SqlSessionStateStore: an item is a serialized session, a lock has a cookie and an
// age, an application has an id that ends the keys of its sessions. The comments of the methods of [Store] state its
// promises, and package storetest tests them for every implementation.
package session
