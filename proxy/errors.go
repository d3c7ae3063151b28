package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// problemBase is what the type of every problem begins with. The type ends in the problem's name.
const problemBase = "https://mirrorstate.github.io/problems/"

// kind is a row of the table of problems.
type kind int

// The kinds of problem, in the order of the table.
const (
	kindInternal kind = iota
	kindNoRoute
	kindNotFound
	kindUnknownApp
	kindLocked
	kindLockLost
	kindPrecondition
	kindTooLarge
	kindBadRequest
	kindUnauthorized
	kindForbidden
	kindMethod
	kindMediaType
	kindOverloaded
	kindNoPrincipal
	kindUnknown
	kindRefused
	kindMismatch
	kindCollision
	kindCount
)

// problems is the one table from kinds to statuses. Retryable means that the same request, with the same
// Idempotency-Key, may succeed later and does no harm. The names are those of the contract.
var problems = [kindCount]struct {
	name      string // empty: about:blank, because the contract has no name for it
	title     string
	status    int
	retryable bool
	retry     bool // Retry-After is sent
}{
	kindInternal:     {"internal", "Internal error", http.StatusInternalServerError, false, false},
	kindNoRoute:      {"", "Not Found", http.StatusNotFound, false, false},
	kindNotFound:     {"session-not-found", "No such session", http.StatusNotFound, false, false},
	kindUnknownApp:   {"unknown-application", "No such application", http.StatusNotFound, false, false},
	kindLocked:       {"session-locked", "The session is locked", http.StatusLocked, true, true},
	kindLockLost:     {"lock-lost", "The lock is not held any more", http.StatusConflict, false, false},
	kindPrecondition: {"precondition-failed", "Precondition failed", http.StatusPreconditionFailed, false, false},
	kindTooLarge:     {"too-large", "The item is too large", http.StatusRequestEntityTooLarge, false, false},
	kindBadRequest:   {"bad-request", "Bad request", http.StatusBadRequest, false, false},
	kindUnauthorized: {"unauthorized", "Unauthorized", http.StatusUnauthorized, false, false},
	kindForbidden:    {"forbidden", "Forbidden", http.StatusForbidden, false, false},
	kindMethod:       {"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed, false, false},
	kindMediaType:    {"unsupported-media-type", "Unsupported media type", http.StatusUnsupportedMediaType, false, false},
	kindOverloaded:   {"overloaded", "Too many calls", http.StatusTooManyRequests, true, true},
	kindNoPrincipal:  {"no-principal", "No partner is principal", http.StatusServiceUnavailable, true, true},
	kindUnknown:      {"outcome-unknown", "The outcome is unknown", http.StatusGatewayTimeout, true, false},
	kindRefused:      {"failover-refused", "The pair refused", http.StatusConflict, false, false},
	kindMismatch:     {"idempotency-mismatch", "The Idempotency-Key names another request", http.StatusUnprocessableEntity, false, false},
	kindCollision:    {"application-collision", "Another application has this one's id", http.StatusConflict, false, false},
}

// problem is a problem detail (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Outcome   string `json:"outcome"`
	Retryable bool   `json:"retryable"`
	LockAge   *int64 `json:"lock_age,omitempty"` // seconds, of session-locked
	Limit     int64  `json:"limit,omitempty"`    // bytes, of too-large
	Number    int32  `json:"number,omitempty"`   // SQL Server's, of failover-refused, if SQL Server refused
	Advice    string `json:"advice,omitempty"`   // of failover-refused

	kind  kind
	after time.Duration // until the problem ends; 0: not known
}

// problemError is an error that this package makes, with its kind of problem. The caller may see the detail.
type problemError struct {
	kind   kind
	detail string
}

func (e *problemError) Error() string { return e.detail }

// Is reports whether target is session.ErrOverloaded and the problem is an overload.
func (e *problemError) Is(target error) bool {
	return e.kind == kindOverloaded && target == session.ErrOverloaded
}

// badInput is the error of a bad header, parameter or body. what names it.
func badInput(what, reason string) error { return &session.InvalidError{What: what, Reason: reason} }

// describe returns the problem that the caller sees. mutates means that the call changes something: after a timeout its
// outcome is then unknown.
func describe(err error, mutates bool) problem {
	p := classify(err)
	if errors.Is(err, context.DeadlineExceeded) && p.kind == kindInternal {
		p = newProblem(kindNoPrincipal, "no answer before the request's deadline", session.NotApplied)
		if mutates {
			p = newProblem(kindUnknown, "no answer before the request's deadline", session.Unknown)
		}
	}
	return p
}

// classify returns the problem of an error: that of a problemError, or else that of the first row of domainErrors that
// matches.
func classify(err error) problem {
	outcome := session.OutcomeOf(err)
	if own, ok := errors.AsType[*problemError](err); ok {
		return ownProblem(err, own, outcome)
	}
	for i := range domainErrors {
		row := &domainErrors[i]
		found, ok := row.find(err)
		if !ok {
			continue
		}
		p := newProblem(row.kind, row.detail, outcome)
		if p.Detail == "" {
			p.Detail = found.Error()
		}
		p.fill(found)
		return p
	}
	return newProblem(kindInternal, "see the server's log for the cause", outcome)
}

// ownProblem returns the problem of err, which is or wraps own.
func ownProblem(err error, own *problemError, outcome session.Outcome) problem {
	p := newProblem(own.kind, own.detail, outcome)
	if later, ok := errors.AsType[*laterError](err); ok {
		p.after = later.after
	}
	if outcome == session.Unknown {
		p.Detail += "; the call was sent before and not answered, and is not sent again: whether it was applied is not known"
	}
	return p
}

// domainErrors is the one table from the errors of package session, and a pair's refusal, to kinds. Texts that could
// reveal servers and statements are only logged.
var domainErrors = []struct {
	find   func(err error) (error, bool) // returns the error of this row that err is or wraps
	kind   kind
	detail string // empty: the text of the error that was found
}{
	{typed[*session.LockedError], kindLocked, holdsLock},
	{is(session.ErrLocked), kindLocked, holdsLock},
	{typed[*session.TooLargeError], kindTooLarge, ""},
	{typed[*session.InvalidError], kindBadRequest, ""},
	{typed[refusal], kindRefused, ""},
	{is(session.ErrNotFound), kindNotFound, "there is no such session, or it has expired"},
	{is(session.ErrLockLost), kindLockLost, lostByWriter},
	{is(session.ErrPrecondition), kindPrecondition, "the session does not meet the request's condition; nothing was written"},
	{is(session.ErrOutcomeUnknown), kindUnknown, "the call was sent and not answered, and the session does not show whether it was applied"},
	{is(session.ErrCollision), kindCollision, collides},
	{is(session.ErrNoPrincipal), kindNoPrincipal, "neither partner became principal in time"},
	{is(session.ErrOverloaded), kindOverloaded, "too many calls wait already, for a principal or for a connection to it"},
	{is(session.ErrUnsupported), kindBadRequest, ""},
}

// refusal is a pair's refusal of an operators' verb; see [PairView].
type refusal interface {
	error
	Refusal() (number int32, message, advice string)
}

// typed returns the error of type E that err is or wraps.
func typed[E error](err error) (error, bool) {
	found, ok := errors.AsType[E](err)
	return found, ok
}

// is returns a function that reports whether err is or wraps a sentinel. The function returns the whole error, whose
// text says more than that of the sentinel.
func is(sentinel error) func(err error) (error, bool) {
	return func(err error) (error, bool) { return err, errors.Is(err, sentinel) }
}

// fill fills the members that depend on the error.
func (p *problem) fill(err error) {
	switch e := err.(type) {
	case *session.TooLargeError:
		p.Limit = int64(e.Limit)
	case refusal:
		p.Number, p.Detail, p.Advice = e.Refusal()
	}
	if p.kind == kindLocked {
		p.LockAge = new(int64(lockAge(err).Seconds()))
	}
}

// holdsLock is the detail of a locked session.
const holdsLock = "another caller holds the lock"

// The details of a lock that is not held, for each verb.
const (
	lostHandle    = "Session-Lock does not hold this session's lock, or holds it no longer; "
	lostByWriter  = lostHandle + "nothing was written"
	lostByRelease = lostHandle + "nothing was released"
	lostByRemoval = lostHandle + "nothing was removed"
	lostByAcquire = "this Idempotency-Key was granted the lock before, and holds it no longer: the lock was released or taken over, or the session was removed; acquire with a new key"
)

// lost returns err with the verb's detail if it means that the lock is not held.
func lost(err error, detail string) error {
	if errors.Is(err, session.ErrLockLost) {
		return &problemError{kindLockLost, detail}
	}
	return err
}

// collides is the detail of an application whose id another application has.
const collides = "the database identifies applications by a 32-bit hash of the name, and another application has the hash of this name; use another name"

func newProblem(k kind, detail string, outcome session.Outcome) problem {
	row := &problems[k]
	typ := "about:blank"
	if row.name != "" {
		typ = problemBase + row.name
	}
	return problem{
		Type: typ, Title: row.title, Status: row.status, Detail: detail,
		Outcome: outcome.String(), Retryable: row.retryable, kind: k,
	}
}

// reporter answers requests with problems, counts the problems, and logs faults.
type reporter struct {
	log    *slog.Logger
	counts *problemCounts
}

// fail answers with the problem of err. If the client has left, or the server is being closed, fail closes the
// connection instead: net/http would answer 200 for a handler that returns without writing.
func (rep reporter) fail(w http.ResponseWriter, r *http.Request, err error, mutates bool) {
	if r.Context().Err() != nil {
		rep.counts.left.Add(1)
		rep.counts.requests.of(r).left.Inc()
		if rec, ok := w.(*statusRecorder); ok {
			rec.status = statusLeft
		}
		rep.log.Debug("client left", "status", statusLeft, "method", r.Method, "error", err)
		panic(http.ErrAbortHandler)
	}
	p := describe(err, mutates)
	if p.Outcome != session.NotApplied.String() && r.Header["Idempotency-Key"] == nil {
		p.Retryable = false // the request may have been applied, and would be applied twice
	}
	rep.counts.by[p.kind].Add(1)
	rep.counts.requests.of(r).problems[p.kind].Inc()
	switch p.kind {
	case kindInternal:
		rep.log.Error("request failed", "method", r.Method, "route", routeOf(r), "error", err)
	case kindUnknown:
		rep.log.Warn("outcome unknown", "method", r.Method, "route", routeOf(r), "error", err)
	}
	if c := connectionOf(r.Context()); c != nil {
		c.refusing(w, r)
	}
	if turnsAway(&p) && r.Body != nil && r.Body != http.NoBody && r.ProtoMajor == 1 {
		turnAway(w)
	}
	writeProblem(w, &p)
}

// turnsAway reports whether a problem is answered before the item has arrived.
func turnsAway(p *problem) bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusMethodNotAllowed:
		return true
	}
	return p.kind == kindNoRoute
}

// unreadTime is how long a refused client may continue to send its item. Some clients read no answer before they have
// sent everything.
const unreadTime = time.Second

// turnAway closes the connection after the answer. Otherwise net/http would delay the answer until the item has arrived,
// and a client without a key could occupy every connection.
func turnAway(w http.ResponseWriter) {
	w.Header()["Connection"] = closes
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // a recorder has none
}

func writeProblem(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	body = append(body, '\n') // for a reader at a terminal
	h := w.Header()
	h["Content-Type"] = problemType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if p.LockAge != nil {
		h["Session-Lock-Age"] = []string{strconv.FormatInt(*p.LockAge, 10)}
	}
	if p.kind == kindUnauthorized {
		h["Www-Authenticate"] = bearer
	}
	if problems[p.kind].retry {
		h["Retry-After"] = []string{retryAfter(p)}
	}
	w.WriteHeader(p.Status)
	w.Write(body)
}

// retryAfter returns the time until the problem ends, if that is known. Otherwise it returns 1 second for a lock, which
// may be released at any moment. For other problems it returns 1 to 3 seconds, so that refused clients do not all
// return at once.
func retryAfter(p *problem) string {
	switch {
	case p.after > 0:
		return strconv.Itoa(int(math.Ceil(p.after.Seconds())))
	case p.kind == kindLocked:
		return "1"
	}
	return strconv.Itoa(1 + rand.IntN(3))
}
