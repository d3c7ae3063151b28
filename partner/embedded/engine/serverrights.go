package engine

import (
	"context"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// The rights of a login on the whole server: those that were granted to it there. Like the login itself a grant is an
// object of master, which is not mirrored.
const (
	kindServerGrant = "SERVERGRANT" // name: login/PERMISSION

	viewServerState   = "VIEW SERVER STATE"
	viewAnyDefinition = "VIEW ANY DEFINITION"
)

// serverRights are the server permissions that can be granted here.
var serverRights = map[string]bool{viewServerState: true, viewAnyDefinition: true, "VIEW ANY DATABASE": true, "ALTER ANY LOGIN": true, "CONNECT SQL": true}

// grantServer runs GRANT and REVOKE of server permissions.
func (b *batch) grantServer(ctx context.Context, st *tsql.Grant) error {
	s := b.s
	if err := s.serverOnly(4613, 16, "Grantor does not have GRANT permission."); err != nil {
		return err
	}
	if s.database != mirror.MasterName {
		return sqlerror.New(4621, 16, "Permissions at the server scope can only be granted when the current database is master.")
	}
	return s.p.inMaster(ctx, s, func(c *catalogueWriter) error {
		if !c.set.Has(storage.KindLogin, st.To) {
			return sqlerror.New(15151, 16, "Cannot find the login '%s', because it does not exist or you do not have permission.", st.To)
		}
		for _, permission := range st.Permissions {
			var err error
			if name := st.To + "/" + permission; st.Verb == "REVOKE" {
				err = c.drop(kindServerGrant, name)
			} else {
				err = c.add(&storage.ObjectRow{Kind: kindServerGrant, Name: name})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hasServerRight reports whether the session has a server permission.
func (s *session) hasServerRight(permission string) bool {
	return s.sysadmin() || s.p.MasterObjects().Has(kindServerGrant, s.login.name+"/"+strings.ToUpper(permission))
}

// checkViewState refuses the views of the server's state to a session without VIEW SERVER STATE, with the two errors of
// SQL Server: 300 and 297.
func (s *session) checkViewState(table string) error {
	if !strings.HasPrefix(table, "sys_dm_") || s.hasServerRight(viewServerState) {
		return nil
	}
	return tds.Errors{
		sqlerror.New(300, 14, "VIEW SERVER STATE permission was denied on object 'server', database 'master'."),
		sqlerror.New(297, 16, "The user does not have permission to perform this action."),
	}
}

// hidden reports whether a catalogue view of availability groups is empty, without an error, for a session without VIEW
// ANY DEFINITION.
func (s *session) hidden(table string) bool {
	return strings.HasPrefix(table, "sys_availability_") && !s.hasServerRight(viewAnyDefinition)
}

// serverPermissionRows returns the permissions of the logins that the session may see.
func serverPermissionRows(s *session, _ string) (rows [][]any) {
	row := func(id any, kind, permission string) {
		rows = append(rows, []any{100, "SERVER", 0, 0, id, 1, kind, permission, "G", "GRANT"})
	}
	granted := s.p.MasterObjects().Of(kindServerGrant)
	for _, l := range sqlLoginRows(s, "") {
		row(l[1], "COSQ", "CONNECT SQL")
		for _, g := range granted {
			if login, permission, _ := strings.Cut(g.Name, "/"); strings.EqualFold(login, l[0].(string)) && permission != "CONNECT SQL" {
				row(l[1], serverRightTypes[permission], permission)
			}
		}
	}
	return rows
}

// serverRightTypes are the four-letter types of the permissions in sys.server_permissions.
var serverRightTypes = map[string]string{viewServerState: "VWSS", viewAnyDefinition: "VWAD", "VIEW ANY DATABASE": "VWDB", "ALTER ANY LOGIN": "ALLG"}
