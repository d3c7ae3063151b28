package logins

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
)

// A login's password hash is stored, and shown to a sysadmin as password_hash, as
//
//	0x03 kind | iterations, 4 bytes | salt, 16 bytes | PBKDF2-HMAC-SHA-256, 32 bytes
//
// in hexadecimal digits, upper case. The kind is 0 for a hash of the password itself, and 1 for a hash of the hash of
// an earlier version: 32 bytes, SHA-256 without a salt. So the hashes of an old folder are replaced without the
// passwords.
const (
	hashVersion    = 3
	hashOfPassword = 0
	hashOfOldHash  = 1

	maxHashIterations = 2_000_000 // limit for a hash given in CREATE LOGIN … HASHED
	saltSize          = 16
	hashHead          = 2 + 4 + saltSize
	hashSize          = hashHead + sha256.Size
)

// NewPasswordHash returns the hash of a password with a new salt.
func NewPasswordHash(password string) string { return newHash(hashOfPassword, password) }

func newHash(kind byte, secret string) string {
	b := make([]byte, hashHead, hashSize)
	b[0], b[1] = hashVersion, kind
	binary.BigEndian.PutUint32(b[2:], hashIterations)
	_, _ = rand.Read(b[6:]) // never fails
	sum, err := derivedHash(secret, b)
	if err != nil {
		panic("embedded: the constants of PBKDF2 are not allowed: " + err.Error())
	}
	return strings.ToUpper(hex.EncodeToString(append(b, sum...)))
}

// derivedHash returns the hash for a head.
func derivedHash(secret string, head []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, secret, head[6:hashHead], int(binary.BigEndian.Uint32(head[2:])), sha256.Size)
}

// oldHash returns the hash of a password in the format of an earlier version.
func oldHash(password string) string {
	sum := sha256.Sum256([]byte("mirrorstate login\n" + password))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// isOldHash reports whether a login's hash has the format of an earlier version.
func isOldHash(hash string) bool { return len(hash) == 2*sha256.Size }

// ImportedHash returns the hash to store for a hash given in CREATE LOGIN … HASHED. That hash comes from an embedded
// partner of this or an earlier version.
func ImportedHash(hash string) (string, error) {
	hash = strings.ToUpper(strings.TrimPrefix(strings.ToLower(hash), "0x"))
	b, err := hex.DecodeString(hash)
	switch {
	case err == nil && isOldHash(hash):
		return newHash(hashOfOldHash, hash), nil
	case err != nil || !wellFormedHash(b):
		return "", sqlerror.New(15021, 16, "Invalid value given for parameter PASSWORD. Specify a valid parameter value.")
	}
	return hash, nil
}

func wellFormedHash(b []byte) bool {
	if len(b) != hashSize || b[0] != hashVersion || b[1] > hashOfOldHash {
		return false
	}
	n := binary.BigEndian.Uint32(b[2:])
	return n > 0 && n <= maxHashIterations
}

// errBadHash: the stored hash of a login has no known format.
var errBadHash = errors.New("the login's password hash is malformed")

// hashFits reports whether the password has this hash. It takes about 30 ms of a processor.
func hashFits(password, hash string) (bool, error) {
	b, err := hex.DecodeString(hash)
	if err != nil || !wellFormedHash(b) {
		return false, errBadHash
	}
	if b[1] == hashOfOldHash {
		password = oldHash(password)
	}
	sum, err := derivedHash(password, b)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errBadHash, err)
	}
	return subtle.ConstantTimeCompare(sum, b[hashHead:]) == 1, nil
}

// KnownPasswords caches which password has which hash, under a key that exists only in this process. So the connections
// of a pool do not each compute the slow hash. It computes at most two hashes at a time, so that guesses do not use the
// whole machine.
type KnownPasswords struct {
	once sync.Once
	key  [32]byte
	Two  chan struct{}

	Computed atomic.Int64 // number of computed hashes

	mu   sync.Mutex
	fits map[string][sha256.Size]byte // by the login's hash, which contains a salt
}

// maxKnown limits the number of cached passwords.
const maxKnown = 1024

// Fit reports whether the password has the hash. It stops waiting for a free computation when done is closed.
func (k *KnownPasswords) Fit(done <-chan struct{}, password, hash string) (bool, error) {
	k.once.Do(func() {
		_, _ = rand.Read(k.key[:]) // never fails
		k.Two = make(chan struct{}, 2)
	})
	mac := hmac.New(sha256.New, k.key[:])
	mac.Write([]byte(hash + "\n" + password))
	var mine [sha256.Size]byte
	mac.Sum(mine[:0])
	if k.has(hash, mine[:]) {
		return true, nil
	}
	select {
	case k.Two <- struct{}{}:
		defer func() { <-k.Two }()
	case <-done:
		return false, errors.New("the login timed out while waiting for its password check")
	}
	if k.has(hash, mine[:]) { // an earlier login in the queue has checked the same password: a pool opens many connections at once
		return true, nil
	}
	k.Computed.Add(1)
	fits, err := hashFits(password, hash)
	if fits {
		k.mu.Lock()
		if k.fits == nil || len(k.fits) >= maxKnown {
			k.fits = map[string][sha256.Size]byte{}
		}
		k.fits[hash] = mine
		k.mu.Unlock()
	}
	return fits, err
}

// has reports whether the cache holds this password code for the hash.
func (k *KnownPasswords) has(hash string, code []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, known := k.fits[hash]
	return known && hmac.Equal(kept[:], code)
}
