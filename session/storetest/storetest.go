// Package storetest states every promise of [session.Store] as a test.
//
// [Run] takes any store: one in memory, ASPState on an embedded pair or on a real SQL Server, or a client of the HTTP
// API. The suite needs only the store. With more (see [Subject]) it proves more, and it reports what it could not
// prove. Each subtest uses sessions of its own with random ids, so the suite can share a database with others; it
// leaves sessions and the names of [Applications] behind. Every wait in it is bounded.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Subject is a store under test, and what the suite can use to test it.
type Subject struct {
	// Store is the store. Its applications are those of [Applications].
	Store session.Store

	// Extended is true for a store that remembers operations, as the extended schema does. A store on the stock
	// schema does not, and promises less: expiry is .NET's (no read checks it, every read renews it), there are no
	// entity tags and timeouts, and nobody can read beside a holder.
	Extended bool

	// NoBlankItem is true if the store cannot have an item of no bytes: over HTTP an empty body means
	// "uninitialized".
	NoBlankItem bool

	// Opaque is true for a store whose locks are handles ([session.Lock.Handle]), such as a client: the operation id
	// and the cookie are hidden.
	Opaque bool

	// Age moves one session's clock back, as if d had passed for it alone: Expires, LockDate and the dates of its
	// operations. [NewAge] makes one for ASPState. Without it, tests that need time to pass are skipped.
	Age func(t *testing.T, ref session.Ref, d time.Duration)

	// Sweep runs the expiry job once, and returns how many sessions it deleted. Locks are abandoned after the main
	// application's LockTimeout. Without it, the tests of the job are skipped.
	Sweep func(ctx context.Context) (deleted int64, err error)

	// Calls is true if the store uses an Operation's Call and Began. A client over HTTP cannot: each of its requests
	// is a call, which begins when it arrives.
	Calls bool

	// Permits is true if the store asks the [session.Permission] of its calls. A client over HTTP cannot.
	Permits bool

	// Older moves a session's creation back by some seconds, which changes its tag. [NewOlder] makes one for
	// ASPState. Without it, sessions are not made older.
	Older func(t *testing.T, ref session.Ref)

	// KeepBack delays attempts. Without it, late attempts are not tested.
	KeepBack KeepBack

	// Net returns a .NET application beside the store, on the same tables; see [NewNetClient]. Without it,
	// coexistence is not tested.
	Net func(t *testing.T) NetClient
}

// The applications of the suite, with different rules. See [Applications].
var (
	mainApp  = session.Application{Name: "/lm/w3svc/1/root/storetest", Timeout: 20, LockTimeout: 110 * time.Second, MaxItem: 1 << 20}
	otherApp = session.Application{Name: "/lm/w3svc/1/root/storetest-other", Timeout: 20, LockTimeout: 110 * time.Second, MaxItem: 1 << 20}
	smallApp = session.Application{Name: "/lm/w3svc/1/root/storetest-small", Timeout: 7, LockTimeout: 30 * time.Second, MaxItem: 1000}
)

// Applications returns the applications of the suite. A server that has the rules in its own configuration must have
// the same ones.
func Applications() []session.Application {
	return []session.Application{mainApp, otherApp, smallApp}
}

// Run runs the suite on what open returns. It calls open once. What open starts must end with t, by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	subject := open(t)
	for _, theme := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"lifecycle", lifecycle},
		{"items", items},
		{"input", input},
		{"ids", ids},
		{"applications", applications},
		{"locking", locking},
		{"lost locks", lostLocks},
		{"abandoned locks", abandonedLocks},
		{"removals past a lock", breaking},
		{"waited for", waitedFor},
		{"uninitialized", uninitialized},
		{"timeouts", timeouts},
		{"timeouts in seconds", inSeconds},
		{"acquires that make the session", creating},
		{"expiry", expiry},
		{"swept", sweptAway},
		{"conditions", conditions},
		{"tags", tags},
		{"repeated", repeated},
		{"repeated late", repeatedLate},
		{"late", late},
		{"cancelled", cancelled},
		{"refused", refused},
		{"concurrent", concurrent},
		{"listing", listing},
		{".NET reads", netReads},
		{".NET locks", netLocks},
		{".NET writes", netWrites},
	} {
		t.Run(theme.name, func(t *testing.T) { theme.run(t, subject) })
	}
}

// patience bounds each subtest; a healthy store needs milliseconds.
const patience = 30 * time.Second

// need is something that a subtest needs. It returns the reason to skip, or an empty string.
type need func(Subject) string

// extended: the stock schema does not promise this.
func extended(s Subject) string {
	if !s.Extended {
		return "the stock schema does not promise this"
	}
	return ""
}

// aged: the test must be able to make a session older.
func aged(s Subject) string {
	if s.Age == nil {
		return "Subject.Age is missing: the test cannot make a session older"
	}
	return ""
}

// told: the locks must show their operation id and cookie.
func told(s Subject) string {
	if s.Opaque {
		return "the locks are handles, which do not show their parts"
	}
	return ""
}

// beside: a .NET application must be able to work beside the store.
func beside(s Subject) string {
	if s.Net == nil {
		return "Subject.Net is missing: no .NET application can work beside this store"
	}
	return ""
}

// run tests one promise on a session of its own, or skips it and says why.
func run(t *testing.T, s Subject, promise string, check func(*scene), needs ...need) {
	t.Helper()
	t.Run(promise, func(t *testing.T) {
		t.Helper()
		for _, n := range needs {
			if reason := n(s); reason != "" {
				t.Skip(reason)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		check(&scene{T: t, Subject: s, ctx: ctx, ref: newRef(&mainApp)})
	})
}

func newRef(app *session.Application) session.Ref {
	return session.Ref{App: app, ID: session.NewID()}
}
