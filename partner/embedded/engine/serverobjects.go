package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

const masterKeyName = "##MS_DatabaseMasterKey##"

// inMaster changes the objects of master.
func (p *Partner) inMaster(ctx context.Context, s *session, change func(c *catalogueWriter) error) error {
	var master *mirror.Database
	err := p.Pair.Verb(ctx, func(context.Context) (err error) {
		master, err = p.OpenMaster()
		return err
	})
	if err != nil {
		return err
	}
	return s.writing(ctx, master, func(w *storage.Writer) error {
		c, err := openCatalogue(w, master)
		if err != nil {
			return err
		}
		return change(c)
	})
}

// serverObject creates a master key, a certificate or an endpoint, or grants a login the right
// to connect to one.
func (b *batch) serverObject(ctx context.Context, st *tsql.ServerObject) error {
	s := b.s
	if err := s.serverOnly(15247, 16, "User does not have permission to perform this action."); err != nil {
		return err
	}
	if s.open > 0 {
		return sqlerror.New(226, 16, "CREATE %s statement not allowed within multi-statement transaction.", st.Kind)
	}
	if s.database != mirror.MasterName && st.Kind != "ENDPOINT" {
		return sqlerror.NotSupported("%s in another database than master", st.Kind)
	}
	return s.p.inMaster(ctx, s, func(c *catalogueWriter) error {
		switch st.Kind {
		case "MASTER KEY":
			if c.set.Has(mirror.KindMasterKey, masterKeyName) {
				return sqlerror.New(15578, 16, "There is already a master key in the database. Please drop it before performing this statement.")
			}
			return c.add(&storage.ObjectRow{Kind: mirror.KindMasterKey, Name: masterKeyName})
		case "CERTIFICATE":
			return c.certificate(st)
		case "ENDPOINT":
			return c.endpoint(st)
		}
		return c.connect(st)
	})
}

// certificate creates a certificate with random contents, or stores that of another server.
func (c *catalogueWriter) certificate(st *tsql.ServerObject) error {
	contents := st.Binary
	switch {
	case c.set.Has(mirror.KindCertificate, st.Name):
		return sqlerror.New(15232, 16, "A certificate with name '%s' already exists or this certificate already has been added to the database.", st.Name)
	case st.Owner != "" && !c.set.Has(storage.KindUser, st.Owner):
		return sqlerror.New(15151, 16, "Cannot find the user '%s', because it does not exist or you do not have permission.", st.Owner)
	case contents == "" && !c.set.Has(mirror.KindMasterKey, masterKeyName):
		return sqlerror.New(15581, 16, "Please create a master key in the database or open the master key in the session before performing this operation.")
	case contents == "":
		var key [40]byte
		_, _ = rand.Read(key[:]) // never fails
		contents = strings.ToUpper(hex.EncodeToString(key[:]))
	}
	for _, other := range c.set.Of(mirror.KindCertificate) {
		if strings.HasPrefix(other.Detail, contents+" ") {
			return sqlerror.New(15232, 16, "A certificate with name '%s' already exists or this certificate already has been added to the database.", st.Name)
		}
	}
	return c.add(&storage.ObjectRow{Kind: mirror.KindCertificate, Name: st.Name, Detail: contents + " " + st.Owner})
}

// endpoint creates the only endpoint for mirroring.
func (c *catalogueWriter) endpoint(st *tsql.ServerObject) error {
	switch {
	case len(c.set.Of(mirror.KindEndpoint)) > 0:
		return sqlerror.New(7862, 16, "An endpoint of the requested type already exists.  Only one endpoint of this type is supported.  Use ALTER ENDPOINT or DROP the existing endpoint and execute the CREATE ENDPOINT statement.")
	case st.Certificate == "":
		return sqlerror.NotSupported("An endpoint with Windows accounts")
	case !c.set.Has(mirror.KindCertificate, st.Certificate):
		return sqlerror.New(15151, 16, "Cannot find the certificate '%s', because it does not exist or you do not have permission.", st.Certificate)
	case st.Port < 1 || st.Port > 65535:
		return sqlerror.New(7800, 16, "The port number, '%d', that is specified is not valid. Valid port numbers range from 1 to 65535 inclusive.", st.Port)
	}
	return c.add(&storage.ObjectRow{Kind: mirror.KindEndpoint, Name: st.Name, Detail: fmt.Sprintf("%d %s %s", st.Port, st.Role, st.Certificate)})
}

// connect runs GRANT CONNECT ON ENDPOINT.
func (c *catalogueWriter) connect(st *tsql.ServerObject) error {
	switch {
	case !c.set.Has(mirror.KindEndpoint, st.Name):
		return sqlerror.New(15151, 16, "Cannot find the endpoint '%s', because it does not exist or you do not have permission.", st.Name)
	case !c.set.Has(storage.KindLogin, st.Owner):
		return sqlerror.New(15151, 16, "Cannot find the login '%s', because it does not exist or you do not have permission.", st.Owner)
	}
	return c.add(&storage.ObjectRow{Kind: mirror.KindConnect, Name: st.Name + "/" + st.Owner})
}
