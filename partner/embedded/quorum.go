package embedded

// sight is who sees whom, in a pair that may have a witness.
type sight struct {
	witness   bool // there is one
	partners  bool // the partners see each other
	principal bool // the witness and the principal see each other
	mirror    bool // the witness and the mirror see each other
	// fit: the mirror has all that was acknowledged. It was SYNCHRONIZED under FULL when it last saw
	// the principal, which has not gone on without it; nor was the mirror alone since.
	fit bool
}

// verdict is what follows.
type verdict struct {
	serve   bool // the principal may keep its database open
	promote bool // the mirror becomes principal
	unfit   bool // the mirror must not become principal by itself before it has caught up again
}

// judge is the arithmetic of quorum: with a witness, two of the three must see
// each other. Who sees neither of the others gives up.
func (s sight) judge() verdict {
	if !s.witness {
		return verdict{serve: true}
	}
	return verdict{
		serve:   s.partners || s.principal,
		promote: s.fit && s.mirror && !s.partners && !s.principal,
		unfit:   !s.partners && !s.mirror,
	}
}
