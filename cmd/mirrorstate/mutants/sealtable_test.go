package mutants

// sealMutants break what hides operation ids from callers and binds a handle to one session. If a
// handle could be computed, two callers could hold one lock.
var sealMutants = []mutant{
	{
		invariant: "I3", name: "accepts a handle that was not sealed",
		file: "proxy/seal.go",
		old:  `return subtle.ConstantTimeCompare(w.sum[:ivLength], w.bytes[:ivLength]) == 1`,
		new:  `return true`,
		pkg:  "proxy", test: "TestSealer_Malformed",
	},
	{
		invariant: "I3", name: "accepts the handle of another session",
		file: "proxy/seal.go",
		old:  `m = ref.ID.AppendFolded(append(m, 0, 0))`,
		new:  `m = append(m, 0, 0)`,
		pkg:  "proxy", test: "TestSealer_Bound",
	},
	{
		invariant: "I3", name: "does not encrypt what it seals",
		file: "proxy/seal.go",
		old:  `w.keystream(w.bytes[ivLength:], w.bytes[:ivLength])`,
		new:  ``,
		pkg:  "proxy", test: "TestAPI_TellsNoOperationIDs",
	},
	{
		invariant: "I3", name: "accepts an operation in a handle that was sealed with a public key",
		file: "proxy/seal.go",
		old:  `if !s.public { // with a public key anybody can make`,
		new:  `if true { // with a public key anybody can make`,
		pkg:  "proxy", test: "TestSealer_Public",
	},
	{
		invariant: "I3", name: "keeps a secret that the database no longer has",
		file: "session/aspstate/secret.go",
		old:  `if held == nil || seen != 0 && (held.seen == stockSeen) != (seen == stockSeen) {`,
		new:  `if held == nil {`,
		pkg:  "session/aspstate", test: "TestStore_FleetSecretFollowsTheSchema",
	},
	{
		invariant: "I3", name: "never reads the fleet's secret again",
		file: "session/aspstate/secret.go",
		old:  `case age > secretFresh, seen != 0 && held.seen != seen:`,
		new:  `case false:`,
		pkg:  "session/aspstate", test: "TestStore_FleetSecret",
	},
}
