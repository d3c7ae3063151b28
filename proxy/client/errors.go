package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Error is a problem that the server answered, or a missing answer. It
// wraps the error of package session with the same meaning, if there is one.
type Error struct {
	Status     int             // HTTP status; 0 without an answer
	Name       string          // the problem's name, such as session-locked; empty without one
	Title      string          // for people
	Detail     string          // for people
	Result     session.Outcome // whether the call was applied
	Retryable  bool            // the same call may be sent again, with the same operation id
	RetryAfter time.Duration   // how long to wait before a retry; 0: the server does not say
	Number     int32           // SQL Server's error number, for failover-refused
	Advice     string          // what to do, for failover-refused

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("no answer: %v", e.cause)
	}
	text := fmt.Sprintf("%d %s", e.Status, e.Title)
	if e.Number != 0 {
		text += fmt.Sprintf(" (%d)", e.Number)
	}
	for _, part := range []string{e.Detail, e.Advice} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

// Unwrap returns the error of package session, or that of the connection.
func (e *Error) Unwrap() error { return e.cause }

// Outcome implements the interface that session.OutcomeOf looks for.
func (e *Error) Outcome() session.Outcome { return e.Result }

// Refusal returns SQL Server's error number, what is wrong and what to do, for failover-refused.
func (e *Error) Refusal() (number int32, message, advice string) {
	return e.Number, e.Detail, e.Advice
}

// noAnswer returns the error of a call whose connection failed: the caller's context ended,
// nothing was sent, or the outcome is unknown. Except in the first case both reads and mutations may be retried.
func noAnswer(ctx context.Context, q *request, err error) error {
	e := &Error{Retryable: true, cause: err}
	dial, _ := errors.AsType[*net.OpError](err)
	sent := dial == nil || dial.Op != "dial"
	switch {
	case ctx.Err() != nil:
		e.Retryable, e.cause = false, ctx.Err()
	case sent && q.mutates():
		e.cause = fmt.Errorf("%w: %w", session.ErrOutcomeUnknown, err)
	}
	if sent && q.mutates() {
		e.Result = session.Unknown
	}
	return e
}

// problemOf returns the error for an answer with a problem. If the answer has no problem document, as to HEAD
// or from a balancer, the status decides.
func problemOf(resp *http.Response, body []byte) error {
	var p struct {
		Type, Title, Detail, Outcome string
		Retryable                    bool
		Limit                        int
		Number                       int32
		Advice                       string
	}
	e := &Error{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	e.RetryAfter = secondsOf(resp.Header, "Retry-After")
	if resp.Header.Get("Content-Type") == "application/problem+json" && len(body) > 0 && json.Unmarshal(body, &p) == nil {
		if i := strings.LastIndexByte(p.Type, '/'); i >= 0 {
			e.Name = p.Type[i+1:]
		}
		e.Title, e.Detail, e.Retryable = p.Title, p.Detail, p.Retryable
		e.Number, e.Advice = p.Number, p.Advice
		e.Result = outcomes[p.Outcome]
	} else {
		e.Name = nameOf(resp)
		e.Retryable = e.Name == "no-principal" || e.Name == "overloaded"
	}
	e.cause = causeOf(e, resp.Header, p.Limit)
	return e
}

var outcomes = map[string]session.Outcome{
	session.NotApplied.String(): session.NotApplied,
	session.Applied.String():    session.Applied,
	session.Unknown.String():    session.Unknown,
}

// nameOf returns the name of the problem that the status of an answer to HEAD means.
func nameOf(resp *http.Response) string {
	if resp.Request.Method != http.MethodHead {
		return ""
	}
	switch resp.StatusCode {
	case http.StatusBadRequest:
		return "bad-request"
	case http.StatusNotFound:
		return "session-not-found"
	case http.StatusLocked:
		return "session-locked"
	case http.StatusTooManyRequests:
		return "overloaded"
	case http.StatusServiceUnavailable:
		return "no-principal"
	}
	return ""
}

// secondsOf returns a header's value in seconds; 0 if it is missing, negative or over 31 bits.
func secondsOf(h http.Header, name string) time.Duration {
	seconds, err := strconv.ParseUint(h.Get(name), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// causeOf returns the error of package session for the problem's name, or nil.
func causeOf(e *Error, h http.Header, limit int) error {
	switch e.Name {
	case "session-not-found":
		return session.ErrNotFound
	case "session-locked":
		return &session.LockedError{Age: secondsOf(h, "Session-Lock-Age")}
	case "lock-lost":
		return session.ErrLockLost
	case "precondition-failed":
		return session.ErrPrecondition
	case "too-large":
		return &session.TooLargeError{Limit: limit}
	case "unknown-application":
		return &session.InvalidError{What: "application", Reason: "is refused: " + e.Detail}
	case "bad-request":
		return &session.InvalidError{What: "request", Reason: "is refused: " + e.Detail}
	case "overloaded":
		return session.ErrOverloaded
	case "no-principal":
		return session.ErrNoPrincipal
	case "outcome-unknown":
		return session.ErrOutcomeUnknown
	case "application-collision":
		return session.ErrCollision
	}
	return nil
}
