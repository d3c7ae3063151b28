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

// problemBase is what the type of every problem starts with; it ends in the problem's name.
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

// problems is the one table from kinds to statuses. Retryable means: the same
// request, with the same Idempotency-Key, may succeed later and does no harm.
// Source of the names: the contract.
var problems = [kindCount]struct {
	name      string // empty: about:blank, for what no name of the contract is true of
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
	Number    int32  `json:"number,omitempty"`   // SQL Server's, of failover-refused that it refused itself
	Advice    string `json:"advice,omitempty"`   // of failover-refused

	kind  kind
	after time.Duration // until it is over, where that is known
}

// problemError is an error that has been a problem from the start: one of HTTP's
// own, or one with a detail that is fit to be shown.
type problemError struct {
	kind   kind
	detail string
}

func (e *problemError) Error() string { return e.detail }

// Is makes a full queue an ErrOverloaded.
func (e *problemError) Is(target error) bool {
	return e.kind == kindOverloaded && target == session.ErrOverloaded
}

// badInput is bad input in a header or query parameter, named.
func badInput(what, reason string) error { return &session.InvalidError{What: what, Reason: reason} }

// describe turns an error into the problem that is shown. mutates says whether
// the call would have changed something: time that ran out leaves a mutation's
// outcome unknown, and a read's caller only without an answer.
func describe(err error, mutates bool) problem {
	p := classify(err)
	if errors.Is(err, context.DeadlineExceeded) && p.kind == kindInternal {
		p = newProblem(kindNoPrincipal, "nobody answered before the request's deadline", session.NotApplied)
		if mutates {
			p = newProblem(kindUnknown, "nobody answered before the request's deadline", session.Unknown)
		}
	}
	return p
}

// classify finds the problem of an error: the one that it has been from the start, or else that of the first row of
// domainErrors that it is.
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
		p.tell(found)
		return p
	}
	return newProblem(kindInternal, "the server's log tells more", outcome)
}

// ownProblem is the problem that err, which is or wraps own, has been from the start.
func ownProblem(err error, own *problemError, outcome session.Outcome) problem {
	p := newProblem(own.kind, own.detail, outcome)
	if later, ok := errors.AsType[*laterError](err); ok {
		p.after = later.after
	}
	if outcome == session.Unknown {
		p.Detail += "; the call was sent before that and not answered, and is not sent again: whether it was applied is not known"
	}
	return p
}

// domainErrors is the one table from the errors of package session, and a pair's refusal, to kinds. Details that could tell
// of servers and statements stay in the log; the rest is for the caller.
var domainErrors = []struct {
	find   func(err error) (error, bool) // the error of this row that err is or wraps
	kind   kind
	detail string // empty: the text of what was found
}{
	{typed[*session.LockedError], kindLocked, holdsLock},
	{is(session.ErrLocked), kindLocked, holdsLock},
	{typed[*session.TooLargeError], kindTooLarge, ""},
	{typed[*session.InvalidError], kindBadRequest, ""},
	{typed[refusal], kindRefused, ""},
	{is(session.ErrNotFound), kindNotFound, "there is no such session, or it has expired"},
	{is(session.ErrLockLost), kindLockLost, lostByWriter},
	{is(session.ErrPrecondition), kindPrecondition, "the session is not as the request demands; nothing was written"},
	{is(session.ErrOutcomeUnknown), kindUnknown, "the call was sent and not answered, and the session can't tell whether it was applied"},
	{is(session.ErrCollision), kindCollision, collides},
	{is(session.ErrNoPrincipal), kindNoPrincipal, "neither partner became principal in time"},
	{is(session.ErrOverloaded), kindOverloaded, "too many calls wait already, for a principal or for their turn at it"},
	{is(session.ErrUnsupported), kindBadRequest, ""},
}

// refusal is a pair's refusal of an operators' verb; see [PairView].
type refusal interface {
	error
	Refusal() (number int32, message, advice string)
}

// typed finds an error of a type.
func typed[E error](err error) (error, bool) {
	found, ok := errors.AsType[E](err)
	return found, ok
}

// is finds a sentinel. What is found is the whole error, whose text says more.
func is(sentinel error) func(err error) (error, bool) {
	return func(err error) (error, bool) { return err, errors.Is(err, sentinel) }
}

// tell adds the members that an error of the domain fills.
func (p *problem) tell(err error) {
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

// holdsLock is what a caller is told who meets a lock.
const holdsLock = "somebody else holds the lock"

// What a caller is told whose lock is not held, by what it wanted.
const (
	lostHandle    = "Session-Lock does not hold this session's lock, or no longer; "
	lostByWriter  = lostHandle + "nothing was written"
	lostByRelease = lostHandle + "nothing was released"
	lostByRemoval = lostHandle + "nothing was removed"
	lostByAcquire = "this Idempotency-Key has been granted the lock before, and holds it no longer: the lock was released or taken over, or the session was removed; acquire with a new key"
)

// lost puts a verb's own words to a lock that is not held.
func lost(err error, detail string) error {
	if errors.Is(err, session.ErrLockLost) {
		return &problemError{kindLockLost, detail}
	}
	return err
}

// collides is what is to be known of a name that makes the id of another.
const collides = "the database keeps applications by an id of 32 bits that is made of the name, and another application has the id that this name makes; use another name"

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

// reporter answers requests with problems, counts them and logs what is a fault.
type reporter struct {
	log    *slog.Logger
	counts *problemCounts
}

// fail answers err. If the client has left, or the server is being closed, there
// is nobody to tell: the connection is cut, because returning without writing
// would have net/http answer 200.
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
		p.Retryable = false // what may have been done would be done twice
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

// turnsAway reports whether a problem is answered before the item has come.
func turnsAway(p *problem) bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusMethodNotAllowed:
		return true
	}
	return p.kind == kindNoRoute
}

// unreadTime is how long a client that is turned away may go on sending its item: one that reads no
// answer before it has sent everything is to see one.
const unreadTime = time.Second

// turnAway ends a connection with its answer, which net/http would otherwise hold back until the item has come: without a
// key one could keep as many connections at work as there may be.
func turnAway(w http.ResponseWriter) {
	w.Header()["Connection"] = closes
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // a recorder has none
}

func writeProblem(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	body = append(body, '\n') // for those who read it in a terminal
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

// retryAfter is the time until the problem is over where that is known; 1 for a lock, which may be
// gone any moment, and spread over 1 to 3 seconds for the rest, so that those sent away do not come
// back all at once.
func retryAfter(p *problem) string {
	switch {
	case p.after > 0:
		return strconv.Itoa(int(math.Ceil(p.after.Seconds())))
	case p.kind == kindLocked:
		return "1"
	}
	return strconv.Itoa(1 + rand.IntN(3))
}

// Values of headers that never change; the slices are shared and must not be written to.
var (
	problemType = []string{"application/problem+json"}
	octetStream = []string{"application/octet-stream"}
	jsonType    = []string{"application/json"}
	yamlType    = []string{"application/yaml"}
	eventType   = []string{"text/event-stream"}
	textType    = []string{"text/plain; charset=utf-8"}
	noStore     = []string{"no-store"}
	nosniff     = []string{"nosniff"}
	closes      = []string{"close"}
	bearer      = []string{`Bearer realm="mirrorstate"`}
	flagged     = []string{"uninitialized"}
)
