package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// A key's shape: ms_, its id, an underscore, 256 random bits.
const (
	keyPrefix    = "ms_"
	idLength     = 8
	secretLength = 52
	keyLength    = len(keyPrefix) + idLength + 1 + secretLength
)

// encoding has no upper case, no padding, and none of 0, 1, 8 and 9.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes a key that nobody has, and its id.
func NewKey() (key, id string) {
	id = newID()
	var secret [32]byte
	rand.Read(secret[:]) // never fails; see crypto/rand
	return keyPrefix + id + "_" + encoding.EncodeToString(secret[:]), id
}

// newID makes an entry's id: 40 bits, to be told apart and not to be guessed.
func newID() string {
	var b [5]byte
	rand.Read(b[:]) // never fails
	return encoding.EncodeToString(b[:])
}

// idOf is the id in a key; false: this is no key of ours.
func idOf(key string) (id string, ok bool) {
	const idEnd = len(keyPrefix) + idLength
	if len(key) != keyLength || !strings.HasPrefix(key, keyPrefix) || key[idEnd] != '_' {
		return "", false
	}
	return key[len(keyPrefix):idEnd], true
}

// hash is what the file has of a key, whose length idOf has checked: of its secret, which
// is one block of SHA-256.
func hash(key string) [sha256.Size]byte {
	var secret [secretLength]byte // on the stack: a conversion would be an allocation
	copy(secret[:], key[keyLength-secretLength:])
	return sha256.Sum256(secret[:])
}
