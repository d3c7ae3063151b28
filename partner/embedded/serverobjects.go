package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// The kinds of objects in master that let two servers speak to each other. They are recorded and
// checked for; nothing is encrypted with them.
const (
	kindMasterKey   = "KEY"         // name: ##MS_DatabaseMasterKey##
	kindCertificate = "CERTIFICATE" // detail: contents, a blank, the owner
	kindEndpoint    = "ENDPOINT"    // detail: port, role, certificate; blanks between
	kindConnect     = "CONNECT"     // name: endpoint/login
	kindBackup      = "BACKUP"      // name: a family of databases; detail: the last commit in its last full and in its last log backup, and when each ended
	kindPartner     = "PARTNER"     // name: a database's that knows its principal and has not met it; detail: the address
)

const masterKeyName = "##MS_DatabaseMasterKey##"

// inMaster changes the objects of master.
func (p *Partner) inMaster(ctx context.Context, s *session, change func(c *catalogueWriter) error) error {
	var master *database
	err := p.pair.verb(ctx, func(context.Context) (err error) {
		master, err = p.openMaster()
		return err
	})
	if err != nil {
		return err
	}
	return s.writing(ctx, master, func(w *writer) error {
		c, err := openCatalogue(w, master)
		if err != nil {
			return err
		}
		return change(c)
	})
}

// masterObjects are the objects of master; empty if there is no such file.
func (i *instance) masterObjects() objectSet {
	if m := i.master.Load(); m != nil {
		return m.store.committed()
	}
	return objectSet{}
}

// serverObject makes a master key, a certificate or an endpoint, or lets a login connect to one.
func (b *batch) serverObject(ctx context.Context, st *tsql.ServerObject) error {
	s := b.s
	if err := s.serverOnly(15247, 16, "User does not have permission to perform this action."); err != nil {
		return err
	}
	if s.open > 0 {
		return message(226, 16, "CREATE %s statement not allowed within multi-statement transaction.", st.Kind)
	}
	if s.database != masterName && st.Kind != "ENDPOINT" {
		return notSupported("%s in another database than master", st.Kind)
	}
	return s.p.inMaster(ctx, s, func(c *catalogueWriter) error {
		switch st.Kind {
		case "MASTER KEY":
			if c.set.has(kindMasterKey, masterKeyName) {
				return message(15578, 16, "There is already a master key in the database. Please drop it before performing this statement.")
			}
			return c.add(&objectRow{kind: kindMasterKey, name: masterKeyName})
		case "CERTIFICATE":
			return c.certificate(st)
		case "ENDPOINT":
			return c.endpoint(st)
		}
		return c.connect(st)
	})
}

// certificate makes one, whose contents are random bytes, or takes another server's over.
func (c *catalogueWriter) certificate(st *tsql.ServerObject) error {
	contents := st.Binary
	switch {
	case c.set.has(kindCertificate, st.Name):
		return message(15232, 16, "A certificate with name '%s' already exists or this certificate already has been added to the database.", st.Name)
	case st.Owner != "" && !c.set.has(kindUser, st.Owner):
		return message(15151, 16, "Cannot find the user '%s', because it does not exist or you do not have permission.", st.Owner)
	case contents == "" && !c.set.has(kindMasterKey, masterKeyName):
		return message(15581, 16, "Please create a master key in the database or open the master key in the session before performing this operation.")
	case contents == "":
		var key [40]byte
		_, _ = rand.Read(key[:]) // never fails
		contents = strings.ToUpper(hex.EncodeToString(key[:]))
	}
	for _, other := range c.set.of(kindCertificate) {
		if strings.HasPrefix(other.detail, contents+" ") {
			return message(15232, 16, "A certificate with name '%s' already exists or this certificate already has been added to the database.", st.Name)
		}
	}
	return c.add(&objectRow{kind: kindCertificate, name: st.Name, detail: contents + " " + st.Owner})
}

// endpoint makes the one endpoint for mirroring.
func (c *catalogueWriter) endpoint(st *tsql.ServerObject) error {
	switch {
	case len(c.set.of(kindEndpoint)) > 0:
		return message(7862, 16, "An endpoint of the requested type already exists.  Only one endpoint of this type is supported.  Use ALTER ENDPOINT or DROP the existing endpoint and execute the CREATE ENDPOINT statement.")
	case st.Certificate == "":
		return notSupported("An endpoint with Windows accounts")
	case !c.set.has(kindCertificate, st.Certificate):
		return message(15151, 16, "Cannot find the certificate '%s', because it does not exist or you do not have permission.", st.Certificate)
	case st.Port < 1 || st.Port > 65535:
		return message(7800, 16, "The port number, '%d', that is specified is not valid. Valid port numbers range from 1 to 65535 inclusive.", st.Port)
	}
	return c.add(&objectRow{kind: kindEndpoint, name: st.Name, detail: fmt.Sprintf("%d %s %s", st.Port, st.Role, st.Certificate)})
}

// connect is GRANT CONNECT ON ENDPOINT.
func (c *catalogueWriter) connect(st *tsql.ServerObject) error {
	switch {
	case !c.set.has(kindEndpoint, st.Name):
		return message(15151, 16, "Cannot find the endpoint '%s', because it does not exist or you do not have permission.", st.Name)
	case !c.set.has(kindLogin, st.Owner):
		return message(15151, 16, "Cannot find the login '%s', because it does not exist or you do not have permission.", st.Owner)
	}
	return c.add(&objectRow{kind: kindConnect, name: st.Name + "/" + st.Owner})
}

// endpoint is the endpoint for mirroring of a server.
type endpoint struct {
	name, role, certificate string
	port                    int
}

// endpoint is the server's; nil if it has none. A pair that began mirrored has one in any case, which
// nobody made.
func (i *instance) endpoint() *endpoint {
	for _, o := range i.masterObjects().of(kindEndpoint) {
		var e endpoint
		port, rest, _ := strings.Cut(o.detail, " ")
		e.name = o.name
		e.port, _ = strconv.Atoi(port)
		e.role, e.certificate, _ = strings.Cut(rest, " ")
		return &e
	}
	if i.pair.folder.empty {
		return nil
	}
	_, port := i.hostPort()
	e := &endpoint{name: "Mirroring", role: "ALL"}
	e.port, _ = strconv.Atoi(port)
	return e
}

// letsIn tells whether the server takes connections of the other one: a login that may connect
// has a user in master who owns the certificate that the other one shows.
func (i *instance) letsIn(other *instance) bool {
	mine, theirs := i.endpoint(), other.endpoint()
	if mine == nil || theirs == nil {
		return false
	}
	if mine.certificate == "" && theirs.certificate == "" {
		return true // both began as a pair
	}
	shown := other.masterObjects()[objectKey(kindCertificate, theirs.certificate)]
	if shown == nil {
		return false
	}
	contents, _, _ := strings.Cut(shown.detail, " ")
	set := i.masterObjects()
	for _, o := range set.of(kindCertificate) {
		known, owner, _ := strings.Cut(o.detail, " ")
		user := set[objectKey(kindUser, owner)]
		if known != contents || user == nil {
			continue
		}
		for _, l := range set.of(kindLogin) {
			sid, _, _ := strings.Cut(l.detail, " ")
			if sid == user.detail && set.has(kindConnect, mine.name+"/"+l.name) {
				return true
			}
		}
	}
	return false
}
