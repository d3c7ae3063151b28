package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// The format of a key: ms_, its id, an underscore, 256 random bits.
const (
	keyPrefix    = "ms_"
	idLength     = 8
	secretLength = 52
	keyLength    = len(keyPrefix) + idLength + 1 + secretLength
)

// encoding uses no upper case, no padding, and none of 0, 1, 8 and 9.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey returns a new random key, and its id.
func NewKey() (key, id string) {
	id = newID()
	var secret [32]byte
	rand.Read(secret[:]) // never fails; see crypto/rand
	return keyPrefix + id + "_" + encoding.EncodeToString(secret[:]), id
}

// newID returns an entry's id: 40 random bits. Ids must differ, but need not be hard to guess.
func newID() string {
	var b [5]byte
	rand.Read(b[:]) // never fails
	return encoding.EncodeToString(b[:])
}

// idOf returns the id in a key; false: the text does not have the format of a key.
func idOf(key string) (id string, ok bool) {
	const idEnd = len(keyPrefix) + idLength
	if len(key) != keyLength || !strings.HasPrefix(key, keyPrefix) || key[idEnd] != '_' {
		return "", false
	}
	return key[len(keyPrefix):idEnd], true
}

// hash returns the SHA-256 of a key's secret, which is what the file has. The secret fits one block of
// SHA-256. The caller has checked the key's length with idOf.
func hash(key string) [sha256.Size]byte {
	var secret [secretLength]byte // on the stack: a conversion would allocate
	copy(secret[:], key[keyLength-secretLength:])
	return sha256.Sum256(secret[:])
}
