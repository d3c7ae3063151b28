package aspstate

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// version is the content of an extended row's entity tag. It changes whenever something is stored, locked or
// released.
//
// The tag is 29 bytes in base64url:
//
//	0  created, milliseconds since 1970, big-endian
//	8  lock cookie, big-endian
//	12 locked, 0 or 1
//	13 newest operation id; zeros: none
type version struct {
	created time.Time
	cookie  int32
	locked  bool
	newest  []byte // 16 bytes, or none
}

const versionLength = 8 + 4 + 1 + 16

func (v version) tag() session.Tag {
	var b [versionLength]byte
	binary.BigEndian.PutUint64(b[0:], uint64(v.created.UnixMilli()))
	binary.BigEndian.PutUint32(b[8:], uint32(v.cookie))
	if v.locked {
		b[12] = 1
	}
	copy(b[13:], v.newest)
	return session.Tag(base64.RawURLEncoding.EncodeToString(b[:]))
}

// parseVersion returns the version in a tag; ok is false for a tag that this dialect did not make. A datetime is read as
// whole milliseconds (…0, …3, …7), and each of these is converted back to the same datetime.
func parseVersion(tag session.Tag) (v version, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(tag))
	if err != nil || len(b) != versionLength || b[12] > 1 {
		return version{}, false
	}
	v = version{
		created: time.UnixMilli(int64(binary.BigEndian.Uint64(b[0:]))).UTC(),
		cookie:  int32(binary.BigEndian.Uint32(b[8:])),
		locked:  b[12] == 1,
	}
	if newest := b[13:]; [16]byte(newest) != [16]byte{} {
		v.newest = newest
	}
	return v, true
}
