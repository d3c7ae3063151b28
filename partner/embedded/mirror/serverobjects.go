package mirror

import (
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The kinds of objects in master that let two servers speak to each other. They are recorded and
// checked for; nothing is encrypted with them.
const (
	KindMasterKey   = "KEY"         // name: ##MS_DatabaseMasterKey##
	KindCertificate = "CERTIFICATE" // detail: contents, a blank, the owner
	KindEndpoint    = "ENDPOINT"    // detail: port, role, certificate; blanks between
	KindConnect     = "CONNECT"     // name: endpoint/login
	KindBackup      = "BACKUP"      // name: a family of databases; detail: the last commit in its last full and in its last log backup, and when each ended
	KindPartner     = "PARTNER"     // name: a database's that knows its principal and has not met it; detail: the address
)

// MasterObjects are the objects of master; empty if there is no such file.
func (i *Instance) MasterObjects() storage.ObjectSet {
	if m := i.Master.Load(); m != nil {
		return m.Store.Committed()
	}
	return storage.ObjectSet{}
}

// endpoint is the endpoint for mirroring of a server.
type endpoint struct {
	Name, Role, Certificate string
	Port                    int
}

// Endpoint is the server's; nil if it has none. A pair that began mirrored has one in any case, which
// nobody made.
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

// letsIn reports whether the server takes connections of the other one: a login that may connect
// has a user in master who owns the certificate that the other one shows.
func (i *Instance) accepts(other *Instance) bool {
	mine, theirs := i.Endpoint(), other.Endpoint()
	if mine == nil || theirs == nil {
		return false
	}
	if mine.Certificate == "" && theirs.Certificate == "" {
		return true // both began as a pair
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
