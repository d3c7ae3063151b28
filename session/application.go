package session

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// MaxApplicationName is the greatest length of an application name, in bytes: the width of AppName.
const MaxApplicationName = 280

// MinTimeout and MaxTimeout bound a session's timeout, in minutes. Source: facts,
// aspstate-schema §6, sessionState defaults.
const (
	MinTimeout = 1
	MaxTimeout = 525600
)

// DefaultTimeout is ASP.NET's default session timeout, in minutes.
const DefaultTimeout = 20

// DefaultLockTimeout is the age from which a lock is abandoned: ASP.NET's default executionTimeout.
const DefaultLockTimeout = 110 * time.Second

// DefaultMaxItem is the default size limit of an application's items, in bytes.
const DefaultMaxItem = 4 << 20

// Application is a web application whose sessions a store keeps: its name and its rules. ASP.NET's name is the IIS
// metabase path, such as /LM/W3SVC/1/ROOT. A zero rule stands for the default.
type Application struct {
	Name        string        // compared without case; see ParseApplicationName
	Timeout     int           // of a new session, in minutes, unless its creator sets another
	LockTimeout time.Duration // the age from which a lock is abandoned, in whole seconds
	MaxItem     int           // bytes
}

// WithDefaults returns a copy in which zero rules have their defaults.
func (a Application) WithDefaults() Application {
	if a.Timeout == 0 {
		a.Timeout = DefaultTimeout
	}
	if a.LockTimeout == 0 {
		a.LockTimeout = DefaultLockTimeout
	}
	if a.MaxItem == 0 {
		a.MaxItem = DefaultMaxItem
	}
	return a
}

// ParseApplicationName checks a name and returns it lower-cased, as the database keeps it. Only printable ASCII is
// accepted: AppName is a char column. A character outside its code page would become '?', and two names would be one.
func ParseApplicationName(s string) (string, error) {
	switch {
	case s == "":
		return "", invalid("application name", "is empty")
	case len(s) > MaxApplicationName:
		return "", invalid("application name", fmt.Sprintf("has %d bytes, more than %d", len(s), MaxApplicationName))
	case strings.HasSuffix(s, " "):
		return "", invalid("application name", "ends in a space, which the database does not keep")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return "", invalid("application name", "has a character that is not printable ASCII")
		}
	}
	return strings.ToLower(s), nil
}

// CheckTimeout checks the timeout of a [Write] or an [Operation]: seconds unless they are 0, and otherwise minutes.
// Zeros mean no timeout.
func CheckTimeout(minutes, seconds int) error {
	switch {
	case seconds < 0 || seconds > MaxTimeout*60:
		return invalid("timeout", fmt.Sprintf("is %d seconds; it must be between 1 and %d", seconds, MaxTimeout*60))
	case seconds != 0 || minutes == 0:
		return nil
	}
	return ParseTimeout(minutes)
}

// SplitTimeout returns a timeout in whole minutes, rounded up for .NET's column, and in seconds. If seconds is not 0, it
// is the timeout, and minutes is ignored. Otherwise the second result is 0. Seconds that are whole minutes stay seconds:
// a session whose timeout is in minutes may live five percent longer, see [Store].
func SplitTimeout(minutes, seconds int) (int, int) {
	if seconds == 0 {
		return minutes, 0
	}
	return (seconds + 59) / 60, seconds
}

// ParseTimeout checks a timeout in minutes.
func ParseTimeout(minutes int) error {
	if minutes < MinTimeout || minutes > MaxTimeout {
		return invalid("timeout", fmt.Sprintf("is %d minutes; it must be between %d and %d", minutes, MinTimeout, MaxTimeout))
	}
	return nil
}

// AppID is an application's id in the database, as TempGetAppID returns it.
type AppID int32

// HashApplicationName returns the id that TempGetAppID gives to a new application. The hash begins with 5381; for each
// byte of the lower-cased name, h = h·33 XOR byte, modulo 2³². A database that was made by ASP.NET 1.x has other ids, so
// clients must call TempGetAppID. Source: facts, aspstate-schema §4.
func HashApplicationName(name string) AppID {
	h := uint32(5381)
	for _, b := range []byte(strings.ToLower(name)) {
		h = h*33 ^ uint32(b)
	}
	return AppID(int32(h))
}

// Suffix returns the end of every key of the application: the id's bits as eight lower-case hexadecimal digits.
func (a AppID) Suffix() string { return string(a.appendSuffix(make([]byte, 0, 8))) }

func (a AppID) appendSuffix(b []byte) []byte {
	var id [4]byte
	binary.BigEndian.PutUint32(id[:], uint32(a))
	return hex.AppendEncode(b, id[:])
}
