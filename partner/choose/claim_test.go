package choose

import "testing"

func TestRaiseAbove(t *testing.T) {
	ext := func(n Name, e int64) Observation { return observation(n, RolePrincipal, 5, withEpoch(e, "X")) }
	accA := func(e int64) Accepted { return Accepted{Partner: A, Extended: true, Epoch: e} }
	overB := func(e int64) Overruled { return Overruled{Partner: B, Extended: true, Epoch: e} }
	tests := []struct {
		name  string
		o     Observation
		over  Overruled
		acc   Accepted
		above int64
		raise bool
	}{
		{"stock", observation(A, RolePrincipal, 5), overB(9), accA(9), 0, false},
		{"no other claim", ext(A, 3), Overruled{}, Accepted{}, 3, false},
		{"above the other partner's claim", ext(A, 3), overB(2), Accepted{}, 3, false},
		{"equal to the other partner's claim", ext(A, 3), overB(3), accA(3), 3, true},
		{"below the other partner's claim", ext(A, 3), overB(5), Accepted{}, 5, true},
		{"the accepted partner with its own epoch", ext(A, 3), Overruled{}, accA(3), 3, false},
		{"the accepted partner, restored from a backup", ext(A, 3), Overruled{}, accA(7), 7, true},
		{"the same epoch was accepted from the other partner", ext(B, 3), Overruled{}, accA(3), 3, true},
		{"a higher epoch was accepted from the other partner", ext(B, 3), Overruled{Partner: A, Extended: true, Epoch: 6}, accA(6), 6, true},
		{"above the accepted epoch", ext(B, 4), Overruled{}, accA(3), 4, false},
	}
	for _, tt := range tests {
		if above, raise := RaiseAbove(tt.o, tt.over, tt.acc); above != tt.above || raise != tt.raise {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, above, raise, tt.above, tt.raise)
		}
	}
}

func TestOverruled_Covers(t *testing.T) {
	stock := Overruled{Partner: B, Sequence: 5, Session: "guid"}
	extended := Overruled{Partner: B, Extended: true, Epoch: 3, Sequence: 5, Session: "guid"}
	tests := []struct {
		name string
		r    Overruled
		o    Observation
		want bool
	}{
		{"nothing was overruled", Overruled{}, observation(B, RolePrincipal, 5), false},
		{"a claim of the other partner", stock, observation(A, RolePrincipal, 5), false},
		{"the same claim", stock, observation(B, RolePrincipal, 5), true},
		{"an older claim", stock, observation(B, RolePrincipal, 4), true},
		{"a newer claim", stock, observation(B, RolePrincipal, 6), false},
		{"a claim in another mirroring session", stock, observation(B, RolePrincipal, 1, func(o *Observation) { o.Session = "new" }), false},
		{"a claim that is not known to be newer", stock, observation(B, RoleUnknown, 0), true},
		{"a higher epoch", extended, observation(B, RolePrincipal, 5, withEpoch(4, "SQLB")), false},
		{"a lower epoch with a higher sequence", extended, observation(B, RolePrincipal, 9, withEpoch(2, "SQLB")), true},
		{"the same epoch, a newer sequence", extended, observation(B, RolePrincipal, 6, withEpoch(3, "SQLB")), false},
	}
	for _, tt := range tests {
		if got := tt.r.covers(tt.o); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
