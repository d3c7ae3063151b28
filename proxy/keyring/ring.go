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

// The reasons for which a credential is refused. They tell a caller nothing about keys that it does not have.
var (
	ErrUnknown = errors.New("the key is unknown, or was revoked")
	ErrExpired = errors.New("the key or certificate has expired; ask for a new one")
)

// Caller is the owner of a credential. It never changes.
type Caller struct {
	// ID is the id of the entry, for logs.
	ID string
	// Name is the name in the entry. Callers with the same name count as one.
	Name string
	// Rights are the caller's rights.
	Rights Right
	// Bucket limits the caller's rate; nil: unlimited. An entry keeps its bucket when the file is read again.
	Bucket *rate.Limiter

	every   bool            // the entry names "*", all applications
	apps    map[string]bool // by name, lower-cased
	expires time.Time
	sum     [sha256.Size]byte // of the key's secret; zero for a certificate
}

// May reports whether the caller has all rights in r. Rights to sessions must apply to
// the application with the lower-cased name app.
func (c *Caller) May(r Right, app string) bool {
	return c.Rights&r == r && (r&(Sessions|List) == 0 || c.every || c.apps[app])
}

// For reports whether the caller's rights apply to the application with that lower-cased name.
func (c *Caller) For(app string) bool { return c.every || c.apps[app] }

// Names reports whether the caller's entry names the application with that lower-cased name. "*" does not name it.
func (c *Caller) Names(app string) bool { return c.apps[app] }

// Expired reports whether the caller's entry has expired.
func (c *Caller) Expired(now time.Time) bool { return !c.expires.IsZero() && !now.Before(c.expires) }

// Ring is an index of a file's entries. It never changes; any number of goroutines may use it.
type Ring struct {
	keys         map[string]*Caller // by id
	certificates map[string]*Caller // by name, lower-cased
	operators    bool
}

// NewRing checks the entries and returns their index. resolve returns an application's lower-cased
// name for an alias or name in Apps.
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
			return nil, fmt.Errorf("entry %d (%s): another entry has the same id or certificate", i+1, e.ID)
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
	rights, _ := ParseRights(e.Rights) // e.Check returned no error
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

// Operators reports whether an entry has a right to the operators' listener. Expired entries count.
func (r *Ring) Operators() bool { return r.operators }

// Len returns the number of entries.
func (r *Ring) Len() int { return len(r.keys) + len(r.certificates) }

// Key returns the caller with this key, or ErrUnknown or ErrExpired. Its duration does not reveal
// how much of a secret is right.
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

// Certificate returns the caller with a client certificate that TLS has verified. It looks up the DNS
// names in their order, or the common name if there are none. It checks NotAfter again: TLS checked it
// when the connection was made, which may be long ago.
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

// setBuckets gives each caller the bucket that it had in the ring before, or a new one.
func (r *Ring) setBuckets(before *Ring, limit rate.Limit, burst int) {
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
