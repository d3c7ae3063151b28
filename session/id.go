package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIDLength is the greatest length of an id, in characters: the key column has 88, and the application's id takes
// 8. Source: facts, aspstate-schema §5.
const MaxIDLength = 80

// idAlphabet is the alphabet of ASP.NET's ids: five bits a character, lowest value first.
const idAlphabet = "abcdefghijklmnopqrstuvwxyz012345"

// idBytes and idLength are the sizes of an id that ASP.NET makes: 15 random bytes in 24 characters.
const (
	idBytes  = 15
	idLength = 24
)

// ID names a session within its application. ASP.NET puts it into the cookie. Ids that ASP.NET made have 24
// characters of a–z and 0–5. A custom SessionIDManager may use any id of up to [MaxIDLength] characters of printable
// ASCII, compared without case. A valid ID comes from [NewID] or [ParseID].
type ID string

// NewID returns a random id of ASP.NET's form. All its 120 bits are random, so two ids are never equal.
func NewID() ID {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return encodeID(b)
}

// encodeID encodes 15 bytes in 24 characters: each five bytes are a little-endian number of 40 bits, encoded in
// groups of five, lowest first.
func encodeID(b [idBytes]byte) ID {
	var out [idLength]byte
	o := 0
	for i := 0; i < idBytes; i += 5 {
		n := uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 | uint64(b[i+4])<<32
		for range 8 {
			out[o] = idAlphabet[n&31]
			n >>= 5
			o++
		}
	}
	return ID(out[:])
}

// ParseID checks an id from a client. It lower-cases an id of ASP.NET's own form, as ASP.NET does with the cookie; any
// other id is kept as it is. The error is a [*InvalidError]: the id is empty, too long, or has other characters than
// printable ASCII.
//
// The database compares ids by its collation. Two ids with different [ID.Folded] must not be equal there. In the
// collations Latin1_General_CI_AS and SQL_Latin1_General_CP1_CI_AS, nvarchar is compared by the rules of Windows:
//
//   - Case, width and kana are ignored: é equals É.
//   - ß equals ss, æ equals ae, and a composed letter equals its parts.
//   - Characters that the rules do not know are ignored: U+0000, the soft hyphen, characters without width, and most
//     characters that were added to Unicode later.
//   - Trailing spaces are ignored, in every collation.
//
// Characters of printable ASCII are never ignored and never equal, except for case. See docs/sql-server.md.
func ParseID(s string) (ID, error) {
	switch {
	case s == "":
		return "", invalid("session id", "is empty")
	case !utf8.ValidString(s):
		return "", invalid("session id", "is not valid UTF-8")
	}
	for _, r := range s {
		switch {
		case r > ' ' && r <= '~':
		case unicode.IsControl(r) || unicode.IsSpace(r):
			return "", invalid("session id", "has a space or a control character")
		default:
			return "", invalid("session id", fmt.Sprintf("has %U, which is not ASCII: databases may treat it as another character or ignore it; encode or hash the id, for example in base64url or hexadecimal", r))
		}
	}
	if len(s) > MaxIDLength {
		return "", invalid("session id", fmt.Sprintf("has %d characters, more than %d", len(s), MaxIDLength))
	}
	if id := ID(strings.ToLower(s)); len(s) == idLength && id.Classic() {
		return id, nil
	}
	return ID(s), nil
}

// Folded returns the id in lower case. The database treats ids that differ only in case as one id, so everything that
// is stored by id must use this spelling.
func (id ID) Folded() ID {
	for i := range len(id) {
		if isUpper(id[i]) {
			return ID(id.AppendFolded(make([]byte, 0, len(id))))
		}
	}
	return id
}

// AppendFolded appends the result of [ID.Folded] without an allocation.
func (id ID) AppendFolded(b []byte) []byte {
	at := len(b)
	b = append(b, id...)
	for i := at; i < len(b); i++ {
		if isUpper(b[i]) {
			b[i] += 'a' - 'A'
		}
	}
	return b
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// Classic reports whether the id has the form of ASP.NET's own ids: 24 characters of a–z and 0–5.
func (id ID) Classic() bool {
	if len(id) != idLength {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '5') {
			return false
		}
	}
	return true
}

// Key returns the session's key in the SessionId column: the id, and the application's id as eight lower-case
// hexadecimal digits.
func (id ID) Key(app AppID) string {
	var room [MaxIDLength + 8]byte
	return string(app.appendSuffix(append(room[:0], id...)))
}

// ShortHash returns a short hash for logs and traces. They must not contain the id itself, because the id is a
// credential. The hash is the first four bytes of the SHA-256 of [ID.Folded] in hexadecimal. It is the same on every
// server, so that the logs of several servers can be compared. A reader of the log can check a guessed id with it, but
// learns nothing else. The hash of the empty id is empty.
func (id ID) ShortHash() string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id.Folded()))
	return hex.EncodeToString(sum[:4])
}
