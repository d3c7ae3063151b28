package partner

import (
	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// The types of this package's interface that its rooms define. Who uses a Pair needs this package alone.
type (
	// Name is the name of one of the two partners.
	Name = choose.Name
	// Role is a partner's role.
	Role = choose.Role
	// Claim is what a partner that claims to be principal says of itself.
	Claim = choose.Claim
	// WatchdogConfig says when the watchdog forces service.
	WatchdogConfig = choose.WatchdogConfig
	// Observer watches the same pair from another place.
	Observer = choose.Observer
	// Sighting is an observer's answer.
	Sighting = choose.Sighting

	// PartnerConfig says how one partner is reached.
	PartnerConfig = link.PartnerConfig
	// Budgets are the longest waits for a server.
	Budgets = link.Budgets

	// HoldConfig bounds the hold.
	HoldConfig = hold.Config
	// HoldStats counts what the hold did.
	HoldStats = hold.Stats
	// HoldFullError is an ErrHoldFull that says which bound was met.
	HoldFullError = hold.FullError
	// HoldOutcome says why a call is not in the hold any more.
	HoldOutcome = hold.Outcome

	// Class says what an error means for where and whether a call may run again.
	Class = classify.Class
)

// The names of the partners, and the roles.
const (
	A = choose.A
	B = choose.B

	RolePrincipal = choose.RolePrincipal
	RoleMirror    = choose.RoleMirror
	RoleUnknown   = choose.RoleUnknown
)

// HoldDrained is the outcome of a call that the hold released to a principal.
const HoldDrained = hold.Drained

// ErrHoldFull says that too many calls, or too many bytes, wait already. Outcome NotApplied.
var ErrHoldFull = hold.ErrFull

// What an op may return (wrapped or not) to steer Do.
var (
	// ErrMoved says that the database has another epoch than the caller's, or is no principal at
	// all. Nothing was done. Do looks for the principal and runs the op again.
	ErrMoved = classify.ErrMoved
	// ErrLate says that the call reached the database after its NotAfter. Nothing was done. Do runs the op again.
	ErrLate = classify.ErrLate
)
