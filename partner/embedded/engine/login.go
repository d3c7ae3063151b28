package engine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

var _ tds.Handler = (*Partner)(nil)

// Login checks a client's login and opens the database that it asks for, if the database is open on this partner. A
// mirror's database is not: the login then fails (4060 and 18456) or continues in master (4063), as the client
// requests.
func (p *Partner) Login(ctx context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	reply := tds.LoginReply{ServerName: p.ServerName(), Database: mirror.MasterName}
	login, err := p.authenticate(ctx, l)
	if err != nil {
		p.counts.refused.Add(1)
		p.counts.failed.Add(1)
		p.failures.Failed(ctx, p.Log, l.RemoteAddr, l.User)
		return nil, reply, err
	}
	s := &session{p: p, login: login, spid: l.SPID, app: l.AppName, host: l.HostName, ClientSession: mirror.ClientSession{Conn: l.Conn}, database: mirror.MasterName, lockTimeout: -1}
	if err := s.use(l.Database); err != nil {
		if l.DatabaseFatal {
			p.counts.refused.Add(1)
			return nil, reply, tds.Errors{
				sqlerror.New(4060, 11, `Cannot open database "%s" requested by the login. The login failed.`, l.Database), loginFailed(l.User)}
		}
		reply.Messages = append(reply.Messages, sqlerror.New(4063, 11,
			`Cannot open database "%s" that was requested by the login. Using the user default database "master" instead.`, l.Database))
	}
	s.loginDatabase = s.database
	reply.Database = s.database
	if d := s.In.Load(); d != nil && d.IsMirrored() {
		reply.Partner = p.Other().ClientName()
	}
	if c, ok := l.Conn.(*mirror.GatedConn); ok {
		c.LoggedIn(l.AppName)
	}
	p.Sessions.Add(&s.ClientSession)
	p.counts.logins.Add(1)
	return s, reply, nil
}

// authenticate checks the password and returns the login; nil is the pair's own login. Its duration reveals which
// logins exist, as with SQL Server's own slow hashes; the names of logins are not secret.
func (p *Partner) authenticate(ctx context.Context, l *tds.Login) (*loginRow, error) {
	if p.failures.AtLimit(l.RemoteAddr) {
		return nil, loginFailed(l.User)
	}
	if l.IntegratedSecurity {
		return nil, sqlerror.New(18452, 14, "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.")
	}
	given, want := sha256.Sum256([]byte(l.Password)), sha256.Sum256([]byte(p.Pair.Password()))
	if other := loginIn(p.MasterObjects(), l.User); other != nil {
		fits, err := p.passwords.Fit(ctx.Done(), l.Password, other.hash)
		if err != nil {
			p.Log.Error("login not checked", "user", other.name, "error", err)
		}
		if !fits {
			return nil, loginFailed(l.User)
		}
		return other, nil
	}
	if !strings.EqualFold(l.User, mirror.UserName) || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return nil, loginFailed(l.User)
	}
	return nil, nil
}

func loginFailed(user string) *tds.Error {
	return sqlerror.New(18456, 14, "Login failed for user '%s'.", user)
}

// use changes the session's database: 911 if no database has the name, 954 if this partner is the mirror. An empty name
// changes nothing.
func (s *session) use(name string) error {
	if name == "" {
		return nil
	}
	database, ok := s.p.CanonicalDatabase(name)
	if !ok {
		return sqlerror.ErrNoDatabase(name)
	}
	d := s.p.Find(database)
	var term int64
	if d != nil {
		term = d.Term.Load() // read first, so that a role change after this line is detected later
		if err := d.Serving(); err != nil {
			return err
		}
		if err := s.checkAccess(d); err != nil {
			return err
		}
	}
	s.database = database
	s.Term.Store(term) // only now: a refused USE does not change the session's database
	s.In.Store(d)
	return nil
}
