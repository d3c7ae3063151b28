package loadtest

import (
	"time"
)

// Sample is one request and what became of it. Its times are on the [clock] of the run.
type Sample struct {
	Due, Sent, Done time.Duration
	Verb            Verb
	Fate            Fate
	Problem         string // why it failed
	Early           bool   // a client waited for it to be due
}

// latency counts from when the request was due.
func (s *Sample) latency() time.Duration { return s.Done - s.Due }

// Verb is which call of the store a request was.
type Verb uint8

// The verbs, by the names of [session.Store].
const (
	VerbAcquire Verb = iota
	VerbUpdate
	VerbRelease
	VerbGet
	VerbTouch
	VerbPut
	VerbRemove
	verbs
)

// String is the verb's name.
func (v Verb) String() string {
	return [verbs]string{"acquire", "update", "release", "get", "touch", "put", "remove"}[v]
}

// Fate is what became of a request.
type Fate uint8

// The fates. Answered, Busy and Gone are words of the API that the workload has to expect.
const (
	Answered Fate = iota
	Busy          // somebody else held the lock
	Gone          // the session was being removed, or was removed
	Failed
)
