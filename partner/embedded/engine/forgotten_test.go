package engine

import "testing"

// A session was removed after it had forgotten operations since this one was first
// sent. A store that is sent again may have been applied before, so the result is
// unknown.
func TestExtended_removedAfterItForgot(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "create", asking("s").store(t, p), resultCreated)
	first := asking("s")
	expect(t, "store", first.store(t, p), resultDone)
	for range 5 {
		expect(t, "another's store", asking("s").store(t, p), resultDone)
	}
	expect(t, "remove", asking("s").remove(t, p), resultDone)
	first.resent = 1
	expect(t, "the store, sent again", first.store(t, p), resultUnknown)
	expect(t, "the session stays removed", asking("s").get(t, p), resultNoSession)
}
