// Package keyring authenticates callers by keys and client certificates. Each has rights to
// applications. They are in a file that is read again when it changes.
//
// A key has 64 characters, ms_IDIDIDID_SECRET. The eight characters of the id name the key, also in lists
// and logs. The secret is 256 random bits. The file has the SHA-256 of the secret. Nobody can guess 256
// bits, so no slow hash is needed: a look-up costs one SHA-256 and no allocation. The package
// does not use HTTP and does not limit rates. Its callers do, with a [Caller] and its Bucket.
//
// The file is JSON. mirrorstate key writes it, and people can read it:
//
//	{"keys": [
//	  {"id": "k7q2m9xa", "name": "shop", "sha256": "…64 hex digits…",
//	   "apps": ["shop"], "rights": ["read", "write"],
//	   "created": "2026-11-26T09:00:00Z", "expires": "2027-02-24T09:00:00Z"},
//	  {"id": "c3n5w2rd", "name": "ops", "certificate": "ops.example.net",
//	   "rights": ["observe", "operator"], "created": "2026-11-26T09:00:00Z"}
//	]}
package keyring
