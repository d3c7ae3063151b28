package engine

import (
	"encoding/hex"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// The rights of a login that is not a sysadmin: those granted to its user in a database, or to a role of
// the user. db_owner has all rights there.

// sysadmin reports whether the session has all rights.
func (s *session) sysadmin() bool { return s.login == nil }

// userIn returns the session's user in a database; "" if it has none there.
func userIn(o storage.ObjectSet, l *loginRow) string {
	for _, u := range o.Of(storage.KindUser) {
		if u.Detail == l.sid {
			return u.Name
		}
	}
	return ""
}

// rolesOf returns the principals whose rights the user has: the user itself, public, and its roles, with
// the roles of those.
func rolesOf(o storage.ObjectSet, user string) map[string]bool {
	mine := map[string]bool{strings.ToLower(user): true, "public": true}
	for grown := true; grown; {
		grown = false
		for _, m := range o.Of(storage.KindMember) {
			role, member, _ := strings.Cut(strings.ToLower(m.Name), "/")
			if mine[member] && !mine[role] {
				mine[role], grown = true, true
			}
		}
	}
	return mine
}

// may reports whether the login has a permission on an object; without an object: in the database.
func may(o storage.ObjectSet, l *loginRow, permission, object string) bool {
	user := userIn(o, l)
	if user == "" {
		return false
	}
	roles := rolesOf(o, user)
	if roles["db_owner"] {
		return true
	}
	for role := range roles {
		if o.Has(storage.KindGrant, role+"/"+permission+"/"+object) || object != "" && o.Has(storage.KindGrant, role+"/"+permission+"/") {
			return true
		}
	}
	return false
}

// checkAccess returns an error if the session may not use the database: 916.
func (s *session) checkAccess(d *mirror.Database) error {
	if s.sysadmin() || userIn(d.Store.Committed(), s.login) != "" {
		return nil
	}
	return sqlerror.New(916, 14, `The server principal "%s" is not able to access the database "%s" under the current security context.`, s.login.name, d.Title)
}

// checkPermission returns an error if the session does not have the permission on the object: 229.
func (s *session) checkPermission(d *mirror.Database, set storage.ObjectSet, permission, object string) error {
	if s.sysadmin() || may(set, s.login, permission, object) {
		return nil
	}
	return sqlerror.New(229, 14, "The %s permission was denied on the object '%s', database '%s', schema 'dbo'.", permission, object, d.Title)
}

// checkControl returns an error if the session may not define objects in the database: 262.
func (s *session) checkControl(d *mirror.Database, statement string) error {
	if s.sysadmin() || may(d.Store.Committed(), s.login, "CONTROL", "") {
		return nil
	}
	return sqlerror.New(262, 14, "%s permission denied in database '%s'.", statement, d.Title)
}

// sees reports whether the session may see the metadata of an object.
func (s *session) sees(set storage.ObjectSet, object string) bool {
	if s.sysadmin() {
		return true
	}
	for _, permission := range []string{"EXECUTE", "SELECT", "INSERT", "UPDATE", "DELETE", "VIEW DEFINITION"} {
		if may(set, s.login, permission, object) {
			return true
		}
	}
	return false
}

// userIn returns USER_NAME().
func (s *session) userIn() string {
	d := s.In.Load()
	switch {
	case s.sysadmin():
		return "dbo"
	case d == nil:
		return "guest"
	}
	return userIn(d.Store.Committed(), s.login)
}

// loginName returns SUSER_SNAME().
func (s *session) loginName() string {
	if s.sysadmin() {
		return mirror.UserName
	}
	return s.login.name
}

// serverOnly refuses a statement that only a sysadmin may run.
func (s *session) serverOnly(number int32, class uint8, format string, args ...any) error {
	if s.sysadmin() {
		return nil
	}
	return sqlerror.New(number, class, format, args...)
}

// isServerMember returns IS_SRVROLEMEMBER: NULL for an unknown role.
func (s *session) isServerMember(role string) any {
	switch strings.ToLower(role) {
	case "public":
		return int64(1)
	case "sysadmin", "dbcreator", "securityadmin", "serveradmin", "setupadmin", "processadmin", "diskadmin", "bulkadmin":
		return sqlvalue.BoolInt(s.sysadmin())
	}
	return nil
}

// columnLength returns COL_LENGTH: NULL for a column that does not exist. The columns of the extended
// schema can be added and dropped.
func (s *session) columnLength(tableName, column string) (any, error) {
	n, ok := splitName(tableName)
	d := s.In.Load()
	if n.database != "" {
		d = s.p.Find(n.database)
	}
	if !ok || d == nil || d.Serving() != nil {
		return nil, nil
	}
	set, err := s.visible(d)
	if err != nil || !set.Readable(n.object) || !s.sees(set, n.object) {
		return nil, err
	}
	typ, ok := columnTypeIn(set, n.object, column)
	if !ok {
		return nil, nil
	}
	switch typ.Kind() {
	case tds.KindNVarChar, tds.KindNChar:
		return int64(2 * typ.Size()), nil
	case tds.KindVarChar, tds.KindChar, tds.KindBinary, tds.KindVarBinary:
		return int64(typ.Size()), nil
	case tds.KindImage:
		return int64(16), nil
	case tds.KindBigInt, tds.KindDateTime, tds.KindDateTime2:
		return int64(8), nil
	case tds.KindBit:
		return int64(1), nil
	}
	return int64(4), nil
}

// columnTypeIn returns the type of a table's column.
func columnTypeIn(o storage.ObjectSet, table, column string) (tds.Type, bool) {
	for _, c := range o.Columns(tsql.Name{Object: table}) {
		if strings.EqualFold(c.Name, column) {
			return sqlvalue.TypeOf(c.Type)
		}
	}
	return tds.Type{}, false
}

// permissionByName returns HAS_PERMS_BY_NAME of an object, or of a database with class DATABASE.
func (s *session) permissionByName(securable, class, permission string) (any, error) {
	permission = strings.ToUpper(permission)
	d := s.In.Load()
	object := ""
	switch strings.ToUpper(class) {
	case "DATABASE":
		if n, ok := splitName(securable); securable != "" && ok && n.database == "" && n.object != "" {
			d = s.p.Find(n.object)
		} else if securable != "" {
			return nil, nil // not an identifier: a name with a dash or a period needs QUOTENAME
		}
	case "OBJECT":
		n, _ := splitName(securable)
		object = n.object
	default:
		return sqlvalue.BoolInt(s.hasServerRight(permission)), nil
	}
	switch {
	case s.sysadmin():
		return int64(1), nil
	case d == nil:
		return int64(0), nil
	}
	set, err := s.visible(d)
	return sqlvalue.BoolInt(may(set, s.login, permission, object)), err
}

// isMember returns IS_MEMBER: NULL for a role that does not exist.
func (s *session) isMember(role string) (any, error) {
	d := s.In.Load()
	if d == nil {
		return sqlvalue.BoolInt(s.sysadmin()), nil
	}
	set, err := s.visible(d)
	switch {
	case err != nil:
		return nil, err
	case !set.Has(storage.KindRole, role) && !fixedRole(role):
		return nil, nil
	case s.sysadmin():
		return sqlvalue.BoolInt(fixedRole(role)), nil
	}
	return sqlvalue.BoolInt(rolesOf(set, userIn(set, s.login))[strings.ToLower(role)]), nil
}

// firstPrincipalID is the id of the first user-defined principal, ownerRoleID that of db_owner.
const (
	firstPrincipalID = 5
	ownerRoleID      = 16384
)

// dboSID is the SID of dbo, which is the pair's own login. It is the same on both servers.
var dboSID = []byte("mirrorstate\x00\x00\x00\xff\xff")

// principalOf is a principal of a database as the catalogue shows it.
type principalOf struct {
	name string
	id   int
	kind string // R or S
	sid  []byte
}

// principalsIn returns the principals of a database, in the order of their ids.
func principalsIn(o storage.ObjectSet) []principalOf {
	list := []principalOf{{"public", 0, storage.KindRole, nil}, {"dbo", 1, storage.KindUser, dboSID}, {"db_owner", ownerRoleID, storage.KindRole, nil}}
	for i, r := range append(o.Of(storage.KindRole), o.Of(storage.KindUser)...) {
		sid, _ := hex.DecodeString(r.Detail) // this package wrote the detail, so it is valid
		list = append(list, principalOf{r.Name, firstPrincipalID + i, r.Kind, sid})
	}
	return list
}

// principalID returns the id of a principal; 0, the id of public, if there is none.
func principalID(o storage.ObjectSet, name string) int {
	for _, p := range principalsIn(o) {
		if strings.EqualFold(p.name, name) {
			return p.id
		}
	}
	return 0
}

// objectsOf returns the objects of a database as the session sees them.
func (s *session) objectsOf(database string) storage.ObjectSet {
	if strings.EqualFold(database, mirror.MasterName) {
		return s.p.MasterObjects()
	}
	d := s.p.Find(database)
	if d == nil && database == mirror.MasterName {
		d = s.p.Master.Load()
	}
	if d == nil {
		return nil
	}
	set, err := s.visible(d)
	if err != nil {
		return nil // the transaction has ended: the next statement returns the error
	}
	return set
}

func principalRows(s *session, database string) (rows [][]any) {
	for _, p := range principalsIn(s.objectsOf(database)) {
		desc, schema, sid := "DATABASE_ROLE", any(nil), any(nil)
		if p.kind == storage.KindUser {
			desc, schema, sid = "SQL_USER", "dbo", p.sid
		}
		rows = append(rows, []any{p.name, p.id, p.kind, desc, schema, sid})
	}
	return rows
}

func memberRows(s *session, database string) (rows [][]any) {
	set := s.objectsOf(database)
	for _, m := range set.Of(storage.KindMember) {
		role, member, _ := strings.Cut(m.Name, "/")
		rows = append(rows, []any{principalID(set, role), principalID(set, member)})
	}
	return rows
}

func permissionRows(s *session, database string) (rows [][]any) {
	set, ids := s.objectsOf(database), map[string]any{}
	for _, o := range s.objectRows(database, "") {
		ids[strings.ToLower(o[0].(string))] = o[1]
	}
	for _, g := range set.Of(storage.KindGrant) {
		part := strings.SplitN(g.Name, "/", 3)
		class, desc, major := 1, "OBJECT_OR_COLUMN", ids[strings.ToLower(part[2])]
		if part[2] == "" {
			class, desc, major = 0, "DATABASE", 0
		}
		rows = append(rows, []any{class, desc, major, 0, principalID(set, part[0]), part[1], "G", "GRANT"})
	}
	return rows
}

func moduleRows(s *session, database string) (rows [][]any) {
	for _, o := range s.describedObjects(s.p.Find(database), "") {
		if o.Kind != storage.KindTable {
			rows = append(rows, []any{int(o.ID), o.Detail})
		}
	}
	return rows
}

// principalID returns DATABASE_PRINCIPAL_ID: NULL for a principal that does not exist.
func (s *session) principalID(name string) (any, error) {
	d := s.In.Load()
	if d == nil {
		return nil, nil
	}
	set, err := s.visible(d)
	if err != nil {
		return nil, err
	}
	for _, p := range principalsIn(set) {
		if strings.EqualFold(p.name, name) {
			return int64(p.id), nil
		}
	}
	return nil, nil
}
