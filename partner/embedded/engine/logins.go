package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/logins"
	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// loginRow is a login that was created by CREATE LOGIN: it is not a sysadmin, and can use a database only if it has
// a user there. It exists on one server only, and is not mirrored.
type loginRow struct {
	name string
	sid  string // as hexadecimal digits, upper case
	hash string // password hash; see package logins
}

// row returns the login as an object of master.
func (l *loginRow) row() *storage.ObjectRow {
	return &storage.ObjectRow{Kind: storage.KindLogin, Name: l.name, Detail: l.sid + " " + l.hash}
}

// loginIn returns a login by name from the objects of master; nil: no such login. The pair's own login is not among
// them.
func loginIn(master storage.ObjectSet, name string) *loginRow {
	r := master[storage.ObjectKey(storage.KindLogin, name)]
	if r == nil {
		return nil
	}
	sid, hash, _ := strings.Cut(r.Detail, " ")
	return &loginRow{name: r.Name, sid: sid, hash: hash}
}

// defineLogin runs CREATE LOGIN … WITH PASSWORD and DROP LOGIN. With HASHED the password is the password_hash of
// sys.sql_logins of an embedded partner.
func (p *Partner) defineLogin(ctx context.Context, s *session, st *tsql.Definition) error {
	l := &loginRow{name: st.Name.Object}
	if st.Verb == "CREATE" {
		password, ok := st.Options["PASSWORD"]
		if !ok {
			return sqlerror.NotSupported("CREATE LOGIN without a password")
		}
		if st.Options["HASHED"] == "" {
			l.hash = logins.NewPasswordHash(password)
		} else {
			var err error
			if l.hash, err = logins.ImportedHash(password); err != nil {
				return err
			}
		}
		if l.sid = strings.ToUpper(strings.TrimPrefix(strings.ToLower(st.Options["SID"]), "0x")); l.sid == "" {
			var sid [16]byte
			_, _ = rand.Read(sid[:]) // never fails
			l.sid = strings.ToUpper(hex.EncodeToString(sid[:]))
		}
	}
	return p.inMaster(ctx, s, func(c *catalogueWriter) error {
		switch exists := c.set.Has(storage.KindLogin, l.name) || strings.EqualFold(l.name, mirror.UserName); {
		case st.Verb == "CREATE" && exists:
			return sqlerror.New(15025, 16, "The server principal '%s' already exists.", l.name)
		case st.Verb == "CREATE":
			for _, other := range c.set.Of(storage.KindLogin) {
				if strings.HasPrefix(other.Detail, l.sid+" ") {
					return sqlerror.New(15433, 16, "Supplied parameter sid is in use.")
				}
			}
			return c.add(l.row())
		case !exists || strings.EqualFold(l.name, mirror.UserName):
			return sqlerror.New(15151, 16, "Cannot drop the login '%s', because it does not exist or you do not have permission.", l.name)
		}
		if err := c.dropIf(kindServerGrant, func(r *storage.ObjectRow) bool { return hasPrefixFold(r.Name, l.name+"/") }); err != nil {
			return err
		}
		return c.drop(storage.KindLogin, l.name)
	})
}

// loginSID returns SUSER_SID of a login by name, or of the session's own login. NULL for a login that does not
// exist.
func (s *session) loginSID(name string, own bool) (any, error) {
	if own {
		name = s.loginName()
	}
	if strings.EqualFold(name, mirror.UserName) {
		return dboSID, nil
	}
	l := loginIn(s.p.MasterObjects(), name)
	if l == nil {
		return nil, nil
	}
	return hex.DecodeString(l.sid)
}
