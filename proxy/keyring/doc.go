// Package keyring says who may do what: keys and certificates' names, each limited
// to applications and rights, in a file that is read again when it has changed.
//
// A key is 64 characters, ms_IDIDIDID_SECRET: eight characters that name it, in lists and
// logs too, and 256 random bits. The file has the SHA-256 of the secret; nobody can guess 256
// bits, so no slow hash is needed, and a look-up costs one SHA-256 and no allocation. It
// knows nothing of HTTP, and limits no rates: a [Caller] is what both are hung on.
//
// The file is JSON, written by mirrorstate key and readable by people:
//
//	{"keys": [
//	  {"id": "k7q2m9xa", "name": "shop", "sha256": "…64 hex digits…",
//	   "apps": ["shop"], "rights": ["read", "write"],
//	   "created": "2026-11-26T09:00:00Z", "expires": "2027-02-24T09:00:00Z"},
//	  {"id": "c3n5w2rd", "name": "ops", "certificate": "ops.example.net",
//	   "rights": ["observe", "operator"], "created": "2026-11-26T09:00:00Z"}
//	]}
package keyring
