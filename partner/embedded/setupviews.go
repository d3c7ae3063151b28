package embedded

import "strings"

// setupViewsText makes the views of what setting up a pair is about: endpoints and certificates, logins and users,
// and files. sys.certificates has one column more than SQL Server's, for CERTENCODED.
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
	e := s.p.endpoint()
	if e == nil {
		return nil
	}
	return [][]any{{e.name, endpointID, "TCP", "DATABASE_MIRRORING", "STARTED", e.port, false}}
}

func endpointRows(s *session, _ string) [][]any {
	e := s.p.endpoint()
	if e == nil {
		return nil
	}
	role := map[string]int{"PARTNER": 1, "WITNESS": 2, "ALL": 3}[e.role]
	if e.certificate == "" {
		return [][]any{{e.name, endpointID, role, e.role, 0, "STARTED", false, "NEGOTIATE", "NONE", 0}}
	}
	id := 0
	for i, c := range s.p.masterObjects().of(kindCertificate) {
		if strings.EqualFold(c.name, e.certificate) {
			id = firstCertificateID + i
		}
	}
	return [][]any{{e.name, endpointID, role, e.role, 0, "STARTED", true, "CERTIFICATE", "AES", id}}
}

const firstCertificateID = 256

func certificateRows(s *session, _ string) (rows [][]any) {
	if s.database != masterName {
		return nil
	}
	for i, c := range s.p.masterObjects().of(kindCertificate) {
		contents, owner, _ := strings.Cut(c.detail, " ")
		encryption := "ENCRYPTED_BY_MASTER_KEY"
		if owner != "" {
			encryption = "NO_PRIVATE_KEY"
		}
		rows = append(rows, []any{c.name, firstCertificateID + i, 1, encryption, c.name, hexadecimal(contents), nil})
	}
	return rows
}

func symmetricKeyRows(s *session, _ string) (rows [][]any) {
	if s.database != masterName {
		return nil
	}
	for _, k := range s.p.masterObjects().of(kindMasterKey) {
		rows = append(rows, []any{k.name, 101})
	}
	return rows
}

// hexadecimal is a binary value in a view's row, two digits a byte.
type hexadecimal string

func serverPrincipalRows(s *session, _ string) (rows [][]any) {
	for _, r := range sqlLoginRows(s, "") {
		rows = append(rows, r[:7])
	}
	return rows
}

// sqlLoginRows are all logins to who may see any definition; to others the system's and their own. Hashes are shown to a sysadmin
// alone (CONTROL SERVER, on SQL Server).
func sqlLoginRows(s *session, _ string) [][]any {
	rows := [][]any{{userName, 1, dboSID, "S", "SQL_LOGIN", false, masterName, false, nil}}
	all := s.hasServerRight(viewAnyDefinition)
	for i, l := range s.p.masterObjects().of(kindLogin) {
		if !all && !strings.EqualFold(l.name, s.loginName()) {
			continue
		}
		sid, hash, _ := strings.Cut(l.detail, " ")
		var shown any
		if s.sysadmin() {
			shown = hexadecimal(hash)
		}
		rows = append(rows, []any{l.name, 256 + i, hexadecimal(sid), "S", "SQL_LOGIN", false, masterName, false, shown})
	}
	return rows
}

func masterFileRows(s *session, _ string) (rows [][]any) {
	for _, d := range s.p.sorted() {
		for i, f := range logicalFiles(d.title) {
			rows = append(rows, []any{d.store.about.Load().id, i + 1, i, map[string]string{"D": "ROWS", "L": "LOG"}[f[1]], f[0], d.store.path, "ONLINE"})
		}
	}
	return rows
}
