package engine

import (
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// setupViewsText creates the views for setting up a pair: endpoints and certificates, logins and users, and files.
// sys.certificates has one column more than SQL Server's, for CERTENCODED.
const setupViewsText = `
CREATE TEMP TABLE sys_tcp_endpoints (
	name nvarchar(128), endpoint_id int, protocol_desc nvarchar(60), type_desc nvarchar(60), state_desc nvarchar(60), port int, is_dynamic_port bit);
CREATE TEMP TABLE sys_certificates (
	name nvarchar(128), certificate_id int, principal_id int, pvt_key_encryption_type_desc nvarchar(60), subject nvarchar(4000), encoded varbinary(8000), expiry_date datetime);
CREATE TEMP TABLE sys_symmetric_keys (name nvarchar(128), symmetric_key_id int);
CREATE TEMP TABLE sys_server_principals (
	name nvarchar(128), principal_id int, sid varbinary(85), type char(1), type_desc nvarchar(60), is_disabled bit, default_database_name nvarchar(128));
CREATE TEMP TABLE sys_sql_logins (
	name nvarchar(128), principal_id int, sid varbinary(85), type char(1), type_desc nvarchar(60), is_disabled bit, default_database_name nvarchar(128),
	is_policy_checked bit, password_hash varbinary(256));
CREATE TEMP TABLE sys_server_permissions (
	class tinyint, class_desc nvarchar(60), major_id int, minor_id int, grantee_principal_id int, grantor_principal_id int,
	type char(4), permission_name nvarchar(128), state char(1), state_desc nvarchar(60));
CREATE TEMP TABLE sys_master_files (
	database_id int, file_id int, type tinyint, type_desc nvarchar(60), name nvarchar(128), physical_name nvarchar(260), state_desc nvarchar(60));
`

const endpointID = 65536

func tcpEndpointRows(s *session, _ string) [][]any {
	e := s.p.Endpoint()
	if e == nil {
		return nil
	}
	return [][]any{{e.Name, endpointID, "TCP", "DATABASE_MIRRORING", "STARTED", e.Port, false}}
}

func endpointRows(s *session, _ string) [][]any {
	e := s.p.Endpoint()
	if e == nil {
		return nil
	}
	role := map[string]int{"PARTNER": 1, "WITNESS": 2, "ALL": 3}[e.Role]
	if e.Certificate == "" {
		return [][]any{{e.Name, endpointID, role, e.Role, 0, "STARTED", false, "NEGOTIATE", "NONE", 0}}
	}
	id := 0
	for i, c := range s.p.MasterObjects().Of(mirror.KindCertificate) {
		if strings.EqualFold(c.Name, e.Certificate) {
			id = firstCertificateID + i
		}
	}
	return [][]any{{e.Name, endpointID, role, e.Role, 0, "STARTED", true, "CERTIFICATE", "AES", id}}
}

const firstCertificateID = 256

func certificateRows(s *session, _ string) (rows [][]any) {
	if s.database != mirror.MasterName {
		return nil
	}
	for i, c := range s.p.MasterObjects().Of(mirror.KindCertificate) {
		contents, owner, _ := strings.Cut(c.Detail, " ")
		encryption := "ENCRYPTED_BY_MASTER_KEY"
		if owner != "" {
			encryption = "NO_PRIVATE_KEY"
		}
		rows = append(rows, []any{c.Name, firstCertificateID + i, 1, encryption, c.Name, sqlvalue.Hexadecimal(contents), nil})
	}
	return rows
}

func symmetricKeyRows(s *session, _ string) (rows [][]any) {
	if s.database != mirror.MasterName {
		return nil
	}
	for _, k := range s.p.MasterObjects().Of(mirror.KindMasterKey) {
		rows = append(rows, []any{k.Name, 101})
	}
	return rows
}

func serverPrincipalRows(s *session, _ string) (rows [][]any) {
	for _, r := range sqlLoginRows(s, "") {
		rows = append(rows, r[:7])
	}
	return rows
}

// sqlLoginRows returns all logins to a session with VIEW ANY DEFINITION, and the system's and its own to another
// session. Only a sysadmin sees hashes (CONTROL SERVER, on SQL Server).
func sqlLoginRows(s *session, _ string) [][]any {
	rows := [][]any{{mirror.UserName, 1, dboSID, "S", "SQL_LOGIN", false, mirror.MasterName, false, nil}}
	all := s.hasServerRight(viewAnyDefinition)
	for i, l := range s.p.MasterObjects().Of(storage.KindLogin) {
		if !all && !strings.EqualFold(l.Name, s.loginName()) {
			continue
		}
		sid, hash, _ := strings.Cut(l.Detail, " ")
		var shown any
		if s.sysadmin() {
			shown = sqlvalue.Hexadecimal(hash)
		}
		rows = append(rows, []any{l.Name, 256 + i, sqlvalue.Hexadecimal(sid), "S", "SQL_LOGIN", false, mirror.MasterName, false, shown})
	}
	return rows
}

func masterFileRows(s *session, _ string) (rows [][]any) {
	for _, d := range s.p.Sorted() {
		for i, f := range logicalFiles(d.Title) {
			rows = append(rows, []any{d.Store.About.Load().ID, i + 1, i, map[string]string{"D": "ROWS", "L": "LOG"}[f[1]], f[0], d.Store.Path, "ONLINE"})
		}
	}
	return rows
}
