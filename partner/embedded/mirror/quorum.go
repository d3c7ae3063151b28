package mirror

// Connectivity says which of principal, mirror and witness reach each other.
type Connectivity struct {
	Witness   bool // the pair has a witness
	Partners  bool // the partners reach each other
	Principal bool // the witness and the principal reach each other
	Mirror    bool // the witness and the mirror reach each other
	// Fit is true if the mirror has all acknowledged commits. The state was SYNCHRONIZED under
	// SAFETY FULL when the mirror was last connected to the principal. Since then the principal has
	// not committed without the mirror, and the mirror was not isolated.
	Fit bool
}

// Decision is the result of the quorum rules.
type Decision struct {
	Serve   bool // the principal may keep its database open
	Promote bool // the mirror becomes principal
	Unfit   bool // the mirror must not take over automatically before it is synchronized again
}

// Decide applies the rules of quorum: with a witness, two of the three must reach each other. A
// principal that reaches neither of the others closes its database.
func (s Connectivity) Decide() Decision {
	if !s.Witness {
		return Decision{Serve: true}
	}
	return Decision{
		Serve:   s.Partners || s.Principal,
		Promote: s.Fit && s.Mirror && !s.Partners && !s.Principal,
		Unfit:   !s.Partners && !s.Mirror,
	}
}
