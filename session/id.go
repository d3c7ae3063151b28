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

// MaxIDLength is the most characters an id may have: the key column takes 88, and 8 are the application's.
// Source: facts, aspstate-schema §5.
const MaxIDLength = 80

// idAlphabet is ASP.NET's: five bits a character, lowest value first.
const idAlphabet = "abcdefghijklmnopqrstuvwxyz012345"

// idBytes and idLength are the sizes of an id ASP.NET makes: 15 random bytes in 24 characters.
const (
	idBytes  = 15
	idLength = 24
)

// ID names a session within its application: what ASP.NET puts into the cookie.
// Ids that ASP.NET made are 24 characters of a–z and 0–5; a custom
// SessionIDManager may use any id of up to [MaxIDLength] characters of printable ASCII, compared without case.
// A valid ID comes from [NewID] or [ParseID].
type ID string

// NewID makes a random id as ASP.NET makes them (75 of 120 random bits are
// enough to never meet; all 120 are kept).
func NewID() ID {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return encodeID(b)
}

// encodeID writes 15 bytes as 24 characters: each five bytes are a
// little-endian number of 40 bits, written in groups of five, lowest first.
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

// ParseID takes an id from a client. An id of ASP.NET's own form is lower-cased,
// as ASP.NET does with the cookie; any other id is kept as it is. The error is a
// [*InvalidError]: empty, too long, or with other characters than printable ASCII.
//
// The database compares by its collation, and no two ids may be one row but those of one [ID.Folded]. By
// Latin1_General_CI_AS and SQL_Latin1_General_CP1_CI_AS an nvarchar is compared by Windows's rules: case, width and
// kana do not count, é is É, ß is ss and æ is ae, a composed letter is its parts, and what the rules do not know
// (U+0000, the soft hyphen, what has no width, most of what came later) is nothing at all. Blanks at the end do not
// count in any collation. Of printable ASCII each character counts and is no other's: hyphen and apostrophe are
// compared last, but they are compared. See docs/sql-server.md.
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
			return "", invalid("session id", "holds a blank or a control character")
		default:
			return "", invalid("session id", fmt.Sprintf("holds %U, which is not ASCII: databases may take it for another character or for nothing; encode or hash the id, for example in base64url or hexadecimal", r))
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

// Folded is the one spelling that stands for all that the database takes for this id: those that differ by the
// case of their letters. What is kept, locked or remembered by id is kept by this.
func (id ID) Folded() ID {
	for i := range len(id) {
		if isUpper(id[i]) {
			return ID(id.AppendFolded(make([]byte, 0, len(id))))
		}
	}
	return id
}

// AppendFolded appends [ID.Folded] without an allocation.
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

// Classic says whether the id is of the form that ASP.NET makes and accepts by
// default: 24 characters of a–z and 0–5.
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

// Key is the session's key in the SessionId column: the id and the
// application's id as eight lower-case hexadecimal digits.
func (id ID) Key(app AppID) string {
	var room [MaxIDLength + 8]byte
	return string(app.appendSuffix(append(room[:0], id...)))
}

// ShortHash stands for the id in logs and traces, where the id itself, which is a credential, must
// not be: the first four bytes of its SHA-256 in hexadecimal, the same everywhere, so that lines of
// several servers can be laid side by side. It is of the [ID.Folded] form. Whoever guesses an id can check the guess, and
// learns nothing from it else. Of the empty id it is empty.
func (id ID) ShortHash() string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id.Folded()))
	return hex.EncodeToString(sum[:4])
}
