package partner

import (
	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Types of this package's API that the packages below define. A user of Pair needs only this package.
type (
	// Name names one of the two partners: A or B.
	Name = choose.Name
	// Role is the role that a partner reports.
	Role = choose.Role
	// Claim is what a partner reports about itself when it claims to be principal.
	Claim = choose.Claim
	// WatchdogConfig configures the watchdog.
	WatchdogConfig = choose.WatchdogConfig
	// Observer watches the same pair from another place.
	Observer = choose.Observer
	// Sighting is an observer's answer.
	Sighting = choose.Sighting

	// PartnerConfig says how to connect to one partner.
	PartnerConfig = link.PartnerConfig
	// Budgets are the longest times to wait for a server.
	Budgets = link.Budgets

	// HoldConfig bounds the hold.
	HoldConfig = hold.Config
	// HoldStats counts what the hold did.
	HoldStats = hold.Stats
	// HoldFullError means that too many calls or too many bytes wait already. It says which bound was reached. Outcome NotApplied.
	HoldFullError = hold.FullError
	// HoldOutcome says how a wait in the hold ended.
	HoldOutcome = hold.Outcome

	// Class says what an error means for a call: whether it may run again, and on which partner.
	Class = classify.Class
)

// The names of the partners, and their roles.
const (
	A = choose.A
	B = choose.B

	RolePrincipal = choose.RolePrincipal
	RoleMirror    = choose.RoleMirror
	RoleUnknown   = choose.RoleUnknown
)

// HoldDrained is the outcome of a call that the hold released to a principal.
const HoldDrained = hold.Drained

// The errors that an op may return, wrapped or not, to control Do.
var (
	// ErrMoved means that the database has another epoch than the call, or is not the principal's any more. Nothing
	// was done. Do looks for the principal and runs the op again.
	ErrMoved = classify.ErrMoved
	// ErrLate means that the call reached the database after its NotAfter. Nothing was done. Do runs the op
	// again.
	ErrLate = classify.ErrLate
)
