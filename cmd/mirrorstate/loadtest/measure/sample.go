package measure

import "time"

// Sample is one request and what became of it. Its times are on the [clock] of the run.
type Sample struct {
	Due, Sent, Done time.Duration
	Call            Call
	Status          Status
	Problem         string // why it failed
	Early           bool   // a client waited for it to be due
}

// latency counts from when the request was due.
func (s *Sample) latency() time.Duration { return s.Done - s.Due }

// Call is which call of the store a request was.
type Call uint8

// The verbs, by the names of [session.Store].
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

// String is the verb's name.
func (v Call) String() string {
	return [callKinds]string{"acquire", "update", "release", "get", "touch", "put", "remove"}[v]
}

// Status is what became of a request.
type Status uint8

// The fates. Answered, Busy and Gone are words of the API that the workload has to expect.
const (
	Answered Status = iota
	Busy            // somebody else held the lock
	Gone            // the session was being removed, or was removed
	Failed
)

// Mutates tells whether nobody knows what was done where there is no answer.
func (v Call) Mutates() bool { return v != CallGet && v != CallTouch }
