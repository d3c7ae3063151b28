package mirror

// Sight is who sees whom, in a pair that may have a witness.
type Connectivity struct {
	Witness   bool // there is one
	Partners  bool // the partners see each other
	Principal bool // the witness and the principal see each other
	Mirror    bool // the witness and the mirror see each other
	// fit: the mirror has all that was acknowledged. It was SYNCHRONIZED under FULL when it last saw
	// the principal, which has not gone on without it; nor was the mirror alone since.
	Fit bool
}

// Verdict is what follows.
type Decision struct {
	Serve   bool // the principal may keep its database open
	Promote bool // the mirror becomes principal
	Unfit   bool // the mirror must not become principal by itself before it has caught up again
}

// Judge is the arithmetic of quorum: with a witness, two of the three must see
// each other. Who sees neither of the others gives up.
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
