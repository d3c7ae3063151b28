package mirror

import (
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The kinds of objects in master with which two servers authenticate each other. They are stored and
// checked; nothing is encrypted with them.
const (
	KindMasterKey   = "KEY"         // name: ##MS_DatabaseMasterKey##
	KindCertificate = "CERTIFICATE" // detail: contents, a blank, the owner
	KindEndpoint    = "ENDPOINT"    // detail: port, role, certificate, separated by blanks
	KindConnect     = "CONNECT"     // name: endpoint/login
	KindBackup      = "BACKUP"      // name: a family of databases; detail: the last commit of its last full and of its last log backup, and when each ended
	KindPartner     = "PARTNER"     // name: a database with the address of a principal to which it is not connected yet; detail: the address
)

// MasterObjects returns the objects of master; empty if master has no file.
func (i *Instance) MasterObjects() storage.ObjectSet {
	if m := i.Master.Load(); m != nil {
		return m.Store.Committed()
	}
	return storage.ObjectSet{}
}

// endpoint is a server's endpoint for mirroring.
type endpoint struct {
	Name, Role, Certificate string
	Port                    int
}

// Endpoint returns the server's endpoint; nil if it has none. A server of a pair that was created mirrored always has
// an endpoint, without CREATE ENDPOINT.
func (i *Instance) Endpoint() *endpoint {
	for _, o := range i.MasterObjects().Of(KindEndpoint) {
		var e endpoint
		port, rest, _ := strings.Cut(o.Detail, " ")
		e.Name = o.Name
		e.Port, _ = strconv.Atoi(port)
		e.Role, e.Certificate, _ = strings.Cut(rest, " ")
		return &e
	}
	if i.Pair.Folder.empty {
		return nil
	}
	_, port := i.hostPort()
	e := &endpoint{Name: "Mirroring", Role: "ALL"}
	e.Port, _ = strconv.Atoi(port)
	return e
}

// accepts reports whether the server accepts connections of the other server: a login with CONNECT permission must have
// a user in master that owns the certificate of the other server.
func (i *Instance) accepts(other *Instance) bool {
	mine, theirs := i.Endpoint(), other.Endpoint()
	if mine == nil || theirs == nil {
		return false
	}
	if mine.Certificate == "" && theirs.Certificate == "" {
		return true // both servers were created as a pair
	}
	shown := other.MasterObjects()[storage.ObjectKey(KindCertificate, theirs.Certificate)]
	if shown == nil {
		return false
	}
	contents, _, _ := strings.Cut(shown.Detail, " ")
	set := i.MasterObjects()
	for _, o := range set.Of(KindCertificate) {
		known, owner, _ := strings.Cut(o.Detail, " ")
		user := set[storage.ObjectKey(storage.KindUser, owner)]
		if known != contents || user == nil {
			continue
		}
		for _, l := range set.Of(storage.KindLogin) {
			sid, _, _ := strings.Cut(l.Detail, " ")
			if sid == user.Detail && set.Has(KindConnect, mine.Name+"/"+l.Name) {
				return true
			}
		}
	}
	return false
}
