package embedded

import (
	"encoding/hex"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// What a login that is no sysadmin may do: what was granted to its user in a database, or to
// a role that the user is in. db_owner may everything there.

// sysadmin tells whether the session may everything.
func (s *session) sysadmin() bool { return s.login == nil }

// userIn is the session's user in a database; "" if it has none there.
func userIn(o objectSet, l *loginRow) string {
	for _, u := range o.of(kindUser) {
		if u.detail == l.sid {
			return u.name
		}
	}
	return ""
}

// rolesOf are the principals whose rights the user has: itself, public, and its roles, with theirs.
func rolesOf(o objectSet, user string) map[string]bool {
	mine := map[string]bool{strings.ToLower(user): true, "public": true}
	for grown := true; grown; {
		grown = false
		for _, m := range o.of(kindMember) {
			role, member, _ := strings.Cut(strings.ToLower(m.name), "/")
			if mine[member] && !mine[role] {
				mine[role], grown = true, true
			}
		}
	}
	return mine
}

// may tells whether the login may do something with an object; without an object: in the database.
func may(o objectSet, l *loginRow, permission, object string) bool {
	user := userIn(o, l)
	if user == "" {
		return false
	}
	roles := rolesOf(o, user)
	if roles["db_owner"] {
		return true
	}
	for role := range roles {
		if o.has(kindGrant, role+"/"+permission+"/"+object) || object != "" && o.has(kindGrant, role+"/"+permission+"/") {
			return true
		}
	}
	return false
}

// mayEnter tells whether the session may use the database: 916.
func (s *session) mayEnter(d *database) error {
	if s.sysadmin() || userIn(d.store.committed(), s.login) != "" {
		return nil
	}
	return message(916, 14, `The server principal "%s" is not able to access the database "%s" under the current security context.`, s.login.name, d.title)
}

// mayDo tells whether the session may do something with an object: 229.
func (s *session) mayDo(d *database, set objectSet, permission, object string) error {
	if s.sysadmin() || may(set, s.login, permission, object) {
		return nil
	}
	return message(229, 14, "The %s permission was denied on the object '%s', database '%s', schema 'dbo'.", permission, object, d.title)
}

// mayOwn tells whether the session may define objects in the database: 262.
func (s *session) mayOwn(d *database, statement string) error {
	if s.sysadmin() || may(d.store.committed(), s.login, "CONTROL", "") {
		return nil
	}
	return message(262, 14, "%s permission denied in database '%s'.", statement, d.title)
}

// sees tells whether the session sees that there is an object.
func (s *session) sees(set objectSet, object string) bool {
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

// userIn is USER_NAME().
func (s *session) userIn() string {
	d := s.in.Load()
	switch {
	case s.sysadmin():
		return "dbo"
	case d == nil:
		return "guest"
	}
	return userIn(d.store.committed(), s.login)
}

// loginName is SUSER_SNAME().
func (s *session) loginName() string {
	if s.sysadmin() {
		return userName
	}
	return s.login.name
}

// serverOnly refuses what only a sysadmin may.
func (s *session) serverOnly(number int32, class uint8, format string, args ...any) error {
	if s.sysadmin() {
		return nil
	}
	return message(number, class, format, args...)
}

// isServerMember is IS_SRVROLEMEMBER: NULL for a role that is not known.
func (s *session) isServerMember(role string) any {
	switch strings.ToLower(role) {
	case "public":
		return int64(1)
	case "sysadmin", "dbcreator", "securityadmin", "serveradmin", "setupadmin", "processadmin", "diskadmin", "bulkadmin":
		return boolInt(s.sysadmin())
	}
	return nil
}

// columnLength is COL_LENGTH: NULL for what is not there. The extension's columns come and go.
func (s *session) columnLength(tableName, column string) (any, error) {
	n, ok := splitName(tableName)
	d := s.in.Load()
	if n.database != "" {
		d = s.p.find(n.database)
	}
	if !ok || d == nil || d.serving() != nil {
		return nil, nil
	}
	set, err := s.visible(d)
	if err != nil || !set.readable(n.object) || !s.sees(set, n.object) {
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

// columnTypeIn is the type of a table's column.
func columnTypeIn(o objectSet, table, column string) (tds.Type, bool) {
	for _, c := range o.columns(tsql.Name{Object: table}) {
		if strings.EqualFold(c.Name, column) {
			return typeOf(c.Type)
		}
	}
	return tds.Type{}, false
}

// permissionByName is HAS_PERMS_BY_NAME of an object, or of a database with class DATABASE.
func (s *session) permissionByName(securable, class, permission string) (any, error) {
	permission = strings.ToUpper(permission)
	d := s.in.Load()
	object := ""
	switch strings.ToUpper(class) {
	case "DATABASE":
		if n, ok := splitName(securable); securable != "" && ok && n.database == "" && n.object != "" {
			d = s.p.find(n.object)
		} else if securable != "" {
			return nil, nil // it is no identifier: a name with a dash or a point in it wants QUOTENAME
		}
	case "OBJECT":
		n, _ := splitName(securable)
		object = n.object
	default:
		return boolInt(s.hasServerRight(permission)), nil
	}
	switch {
	case s.sysadmin():
		return int64(1), nil
	case d == nil:
		return int64(0), nil
	}
	set, err := s.visible(d)
	return boolInt(may(set, s.login, permission, object)), err
}

// isMember is IS_MEMBER: NULL for a role that is not there.
func (s *session) isMember(role string) (any, error) {
	d := s.in.Load()
	if d == nil {
		return boolInt(s.sysadmin()), nil
	}
	set, err := s.visible(d)
	switch {
	case err != nil:
		return nil, err
	case !set.has(kindRole, role) && !fixedRole(role):
		return nil, nil
	case s.sysadmin():
		return boolInt(fixedRole(role)), nil
	}
	return boolInt(rolesOf(set, userIn(set, s.login))[strings.ToLower(role)]), nil
}

// firstPrincipalID is that of the first principal that is not the system's, ownerRoleID that of db_owner.
const (
	firstPrincipalID = 5
	ownerRoleID      = 16384
)

// dboSID is the SID of dbo, which is the pair's own login: the same on both servers.
var dboSID = []byte("mirrorstate\x00\x00\x00\xff\xff")

// principalOf is a principal of a database as the catalogue shows it.
type principalOf struct {
	name string
	id   int
	kind string // R or S
	sid  []byte
}

// principalsIn are those of a database, in the order of their ids.
func principalsIn(o objectSet) []principalOf {
	list := []principalOf{{"public", 0, kindRole, nil}, {"dbo", 1, kindUser, dboSID}, {"db_owner", ownerRoleID, kindRole, nil}}
	for i, r := range append(o.of(kindRole), o.of(kindUser)...) {
		sid, _ := hex.DecodeString(r.detail) // we wrote it
		list = append(list, principalOf{r.name, firstPrincipalID + i, r.kind, sid})
	}
	return list
}

// principalID is the id of a principal; 0, which is public's, if there is none.
func principalID(o objectSet, name string) int {
	for _, p := range principalsIn(o) {
		if strings.EqualFold(p.name, name) {
			return p.id
		}
	}
	return 0
}

// objectsOf are the objects of a database that has some, as the session sees them.
func (s *session) objectsOf(database string) objectSet {
	if strings.EqualFold(database, masterName) {
		return s.p.masterObjects()
	}
	d := s.p.find(database)
	if d == nil && database == masterName {
		d = s.p.master.Load()
	}
	if d == nil {
		return nil
	}
	set, err := s.visible(d)
	if err != nil {
		return nil // the transaction is over: the next statement says so
	}
	return set
}

func principalRows(s *session, database string) (rows [][]any) {
	for _, p := range principalsIn(s.objectsOf(database)) {
		desc, schema, sid := "DATABASE_ROLE", any(nil), any(nil)
		if p.kind == kindUser {
			desc, schema, sid = "SQL_USER", "dbo", p.sid
		}
		rows = append(rows, []any{p.name, p.id, p.kind, desc, schema, sid})
	}
	return rows
}

func memberRows(s *session, database string) (rows [][]any) {
	set := s.objectsOf(database)
	for _, m := range set.of(kindMember) {
		role, member, _ := strings.Cut(m.name, "/")
		rows = append(rows, []any{principalID(set, role), principalID(set, member)})
	}
	return rows
}

func permissionRows(s *session, database string) (rows [][]any) {
	set, ids := s.objectsOf(database), map[string]any{}
	for _, o := range s.objectRows(database, "") {
		ids[strings.ToLower(o[0].(string))] = o[1]
	}
	for _, g := range set.of(kindGrant) {
		part := strings.SplitN(g.name, "/", 3)
		class, desc, major := 1, "OBJECT_OR_COLUMN", ids[strings.ToLower(part[2])]
		if part[2] == "" {
			class, desc, major = 0, "DATABASE", 0
		}
		rows = append(rows, []any{class, desc, major, 0, principalID(set, part[0]), part[1], "G", "GRANT"})
	}
	return rows
}

func moduleRows(s *session, database string) (rows [][]any) {
	for _, o := range append(s.describedObjects(s.p.find(database), kindView), s.describedObjects(s.p.find(database), kindProcedure)...) {
		rows = append(rows, []any{int(o.id), o.detail})
	}
	return rows
}

// principalID is DATABASE_PRINCIPAL_ID: NULL for one that is not there.
func (s *session) principalID(name string) (any, error) {
	d := s.in.Load()
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
