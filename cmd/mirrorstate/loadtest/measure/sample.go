package measure

import "time"

// Sample is one request with its result. Its times are on the run's [Clock].
type Sample struct {
	Due, Sent, Done time.Duration // when it was due, when it was sent, and when it ended
	Call            Call          // what it called
	Status          Status        // how it ended
	Problem         string        // problem name, if the status is Failed
	Early           bool          // a client was waiting when the request became due
}

// latency returns the time from when the request was due to its end.
func (s *Sample) latency() time.Duration { return s.Done - s.Due }

// Call is the method of the store that a request called.
type Call uint8

// The calls, named as in [session.Store].
const (
	CallAcquire Call = iota
	CallUpdate
	CallRelease
	CallGet
	CallTouch
	CallPut
	CallRemove
	callKinds
)

// String returns the call's name in lower case.
func (v Call) String() string {
	return [callKinds]string{"acquire", "update", "release", "get", "touch", "put", "remove"}[v]
}

// Status is the result of a request.
type Status uint8

// The statuses. Answered, Busy and Gone are answers that the load expects.
const (
	Answered Status = iota
	Busy            // another client held the lock
	Gone            // the session was removed, or its removal had begun
	Failed
)

// Mutates reports whether the call changes the session, so that without an answer its outcome is
// unknown.
func (v Call) Mutates() bool { return v != CallGet && v != CallTouch }
