package keyring

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Why a credential is refused. They say nothing about a key that is not its own holder's to know.
var (
	ErrUnknown = errors.New("the key is not known, or was revoked")
	ErrExpired = errors.New("the key, or the certificate, has expired; ask for a new one")
)

// Caller is who a credential belongs to. It never changes.
type Caller struct {
	// ID is the entry's, for logs.
	ID string
	// Name is the entry's; callers of one name are one.
	Name string
	// Rights is what it may do.
	Rights Right
	// Bucket bounds its rate; nil: nothing does. Entries read again keep theirs.
	Bucket *rate.Limiter

	every   bool            // application
	apps    map[string]bool // by name, lower-cased
	expires time.Time
	sum     [sha256.Size]byte // of keys
}

// May says whether the caller has all the rights, to the application of that
// lower-cased name where they are rights to sessions.
func (c *Caller) May(r Right, app string) bool {
	return c.Rights&r == r && (r&(Sessions|List) == 0 || c.every || c.apps[app])
}

// For says whether it has anything to do with the application.
func (c *Caller) For(app string) bool { return c.every || c.apps[app] }

// Names says whether its entry names the application of that lower-cased name; "*" does not.
func (c *Caller) Names(app string) bool { return c.apps[app] }

// Expired says whether its entry has ended.
func (c *Caller) Expired(now time.Time) bool { return !c.expires.IsZero() && !now.Before(c.expires) }

// Ring is a file's entries, ready to be looked up. It never changes; any number of
// goroutines may use it.
type Ring struct {
	keys         map[string]*Caller // by id
	certificates map[string]*Caller // by name, lower-cased
	operators    bool
}

// NewRing checks the entries. resolve gives an application's lower-cased name for what
// stands in Apps, an alias or a name.
func NewRing(entries []Entry, resolve func(app string) (name string, err error)) (*Ring, error) {
	r := &Ring{keys: make(map[string]*Caller), certificates: make(map[string]*Caller)}
	ids := make(map[string]bool)
	for i := range entries {
		e := &entries[i]
		c, err := newCaller(e, resolve)
		if err != nil {
			return nil, fmt.Errorf("entry %d (%s): %w", i+1, e.ID, err)
		}
		name := strings.ToLower(e.Certificate)
		if ids[e.ID] || r.certificates[name] != nil {
			return nil, fmt.Errorf("entry %d (%s): another entry has its id, or its certificate", i+1, e.ID)
		}
		ids[e.ID] = true
		if e.Certificate != "" {
			r.certificates[name] = c
		} else {
			r.keys[e.ID] = c
		}
		r.operators = r.operators || c.Rights&Operators != 0
	}
	return r, nil
}

func newCaller(e *Entry, resolve func(string) (string, error)) (*Caller, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	rights, _ := ParseRights(e.Rights) // checked
	c := &Caller{ID: e.ID, Name: e.Name, Rights: rights, apps: make(map[string]bool), expires: e.Expires}
	for _, app := range e.Apps {
		if app == "*" {
			c.every = true
			continue
		}
		name, err := resolve(app)
		if err != nil {
			return nil, err
		}
		c.apps[name] = true
	}
	if sum, err := hex.DecodeString(e.SHA256); err == nil {
		copy(c.sum[:], sum)
	}
	return c, nil
}

// Operators says whether an entry opens the operators' listener, be it expired.
func (r *Ring) Operators() bool { return r.operators }

// Len is the number of entries.
func (r *Ring) Len() int { return len(r.keys) + len(r.certificates) }

// Key finds a key's caller, or says ErrUnknown or ErrExpired. How long that takes says
// nothing of how much of a key is right.
func (r *Ring) Key(key string, now time.Time) (*Caller, error) {
	id, ok := idOf(key)
	if !ok {
		return nil, ErrUnknown
	}
	c := r.keys[id]
	sum := hash(key)
	if c == nil || subtle.ConstantTimeCompare(sum[:], c.sum[:]) != 1 {
		return nil, ErrUnknown
	}
	if c.Expired(now) {
		return nil, ErrExpired
	}
	return c, nil
}

// Certificate finds the caller of a client certificate that TLS has verified: by its DNS
// names, in their order, or by its common name where it has none. TLS looked at its end when the
// connection was made, which may be long ago.
func (r *Ring) Certificate(cert *x509.Certificate, now time.Time) (*Caller, error) {
	if now.After(cert.NotAfter) {
		return nil, ErrExpired
	}
	names := cert.DNSNames
	if len(names) == 0 {
		names = []string{cert.Subject.CommonName}
	}
	err := ErrUnknown
	for _, name := range names {
		c := r.certificates[strings.ToLower(name)]
		switch {
		case name == "" || c == nil:
		case c.Expired(now):
			err = ErrExpired
		default:
			return c, nil
		}
	}
	return nil, err
}

// keep gives callers that were there before their buckets, and new ones a bucket of their own.
func (r *Ring) keep(before *Ring, limit rate.Limit, burst int) {
	if limit == 0 {
		return
	}
	old := make(map[string]*Caller)
	if before != nil {
		before.each(func(c *Caller) { old[c.ID] = c })
	}
	r.each(func(c *Caller) {
		if was := old[c.ID]; was != nil && was.Bucket != nil {
			c.Bucket = was.Bucket
			return
		}
		c.Bucket = rate.NewLimiter(limit, burst)
	})
}

func (r *Ring) each(f func(*Caller)) {
	for _, c := range r.keys {
		f(c)
	}
	for _, c := range r.certificates {
		f(c)
	}
}
