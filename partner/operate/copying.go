package operate

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The statements that copy the database to the mirror. Forms: "Prepare a mirror database".
const (
	formRecoveryFull  = `ALTER DATABASE %[ SET RECOVERY FULL`
	formBackup        = `BACKUP DATABASE %[ TO DISK = %N WITH INIT, FORMAT, CHECKSUM`
	formBackupLog     = `BACKUP LOG %[ TO DISK = %N WITH INIT, FORMAT`
	formRestore       = `RESTORE DATABASE %[ FROM DISK = %N WITH NORECOVERY`
	formRestoreLog    = `RESTORE LOG %[ FROM DISK = %N WITH NORECOVERY`
	formFileList      = `RESTORE FILELISTONLY FROM DISK = %N`
	formRecover       = `RESTORE DATABASE %[ WITH RECOVERY`
	formDropLogin     = `DROP LOGIN %[`
	formDrop          = `DROP DATABASE %[`
	formLoginWithSID  = `CREATE LOGIN %[ WITH PASSWORD = %s HASHED, SID = %s, CHECK_POLICY = OFF, DEFAULT_DATABASE = [master]`
	queryFullRecovery = `SELECT 1 AS yes FROM sys.databases WHERE name = %N AND recovery_model_desc = N'FULL'`
	queryState        = `SELECT 1 AS yes FROM sys.databases WHERE name = %N AND state_desc = %N`
	queryLogin        = `SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = %N`
	querySameLogin    = `SELECT 1 AS yes FROM sys.server_principals WHERE name = %N AND sid = %s`
	queryNoOtherLogin = `SELECT 1 AS yes WHERE NOT EXISTS (SELECT 1 FROM sys.server_principals WHERE name = %N AND sid <> %s)`
	queryRights       = `SELECT p.permission_name, p.state_desc FROM sys.server_permissions p JOIN sys.server_principals l ON l.principal_id = p.grantee_principal_id ` +
		`WHERE l.name = %N AND p.class = 100 AND (p.permission_name <> N'CONNECT SQL' OR p.state_desc <> N'GRANT') ORDER BY p.permission_name`
	queryRight = `SELECT 1 AS yes FROM sys.server_permissions p JOIN sys.server_principals l ON l.principal_id = p.grantee_principal_id ` +
		`WHERE l.name = %N AND p.class = 100 AND p.permission_name = %N AND p.state_desc = %N`
	formGrantServer     = `GRANT %s TO %[`
	formGrantServerWith = `GRANT %s TO %[ WITH GRANT OPTION`
	formDenyServer      = `DENY %s TO %[`
)

// queryOwners returns the SQL Server and Windows logins of the users in the database. The other server must have them too.
const queryOwners = `SELECT l.name FROM %[.sys.database_principals u JOIN sys.server_principals l ON l.sid = u.sid WHERE l.principal_id > 1 AND l.type IN ('S', 'U', 'G') ORDER BY l.name`

// notThereYet are the errors for a file that does not exist yet, or is incomplete.
var notThereYet = []int32{3013, 3201, 3203, 3241}

// files returns the paths of the backups.
func (s *situation) files() (full, log string) {
	stem := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\/:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s.o.Database)
	return inFolder(s.o.Share, stem+"-mirrorstate.bak"), inFolder(s.o.Share, stem+"-mirrorstate.trn")
}

// fullRecovery adds the step that sets the recovery model to FULL.
func (s *situation) fullRecovery() {
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Set the recovery model to FULL: mirroring sends the log", Unless: fill(queryFullRecovery, s.o.Database), Text: fill(formRecoveryFull, s.o.Database), Again: []int32{5061},
		Why: "From now on only log backups truncate the log. Create a job for them on both servers: without it the log fills the disk."})
}

// copyDatabase adds the steps that copy the database to the mirror by backup and restore. It is RESTORING there.
func (s *situation) copyDatabase() {
	full, log := s.files()
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Take a full backup", Text: fill(formBackup, s.o.Database, full),
			Why: "Pause the log backup job: a log backup taken from now on must be restored on the mirror too (1408, 1409, 1412, 1478)."},
		Step{On: s.p, Kind: Do, Title: "Take a log backup, which mirroring needs to start", Text: fill(formBackupLog, s.o.Database, log)})
	for _, file := range []string{full, log} {
		title := "This server can read the backup " + file + " too"
		if s.o.Share == "" {
			title = "Copy " + file + " from " + string(s.p) + "'s default backup folder to that of " + string(s.m)
		}
		s.plan.add(Step{On: s.m, Kind: Carry, Title: title, Text: fill(formFileList, file), Within: s.o.CarryPatience,
			Refusal: &Refusal{Number: 3201, Message: "the backup " + file + " has not arrived", Advice: "copy it and run pair setup again, or name a folder that both servers can open with --share"},
			Why:     "The SQL Server service on each machine opens the path, and its account must have the right to read it."})
	}
	restore := fill(formRestore, s.o.Database, full)
	for i, logical := range s.logicalNames() {
		if s.o.MirrorData != "" {
			restore += fill(`, MOVE %N TO %N`, logical, inFolder(s.o.MirrorData, logical+[]string{".mdf", ".ldf"}[min(i, 1)]))
		}
	}
	s.plan.add(
		Step{On: s.m, Kind: Do, Title: "Restore the copy, which stays closed", Unless: fill(queryState, s.o.Database, "RESTORING"), Text: restore,
			Why: "NORECOVERY: a copy that was opened once can't be mirrored. REPLACE is not used: it would overwrite a database of that name."},
		Step{On: s.m, Kind: Do, Title: "Restore the log backup", Text: fill(formRestoreLog, s.o.Database, log), Ignore: []int32{4326}})
}

// logicalNames returns the logical names of the database's files, data first.
func (s *situation) logicalNames() []string {
	if d := s.seen[s.p.index()].Database; d != nil && len(d.Logical) > 0 {
		return d.Logical
	}
	return []string{s.o.Database, s.o.Database + "_log"}
}

// readLogins adds the steps that read the logins' SIDs and password hashes: a user belongs to a SID, not to a name.
func (s *situation) readLogins() {
	for i, login := range s.o.Logins {
		if isWindows(login) {
			continue // its SID and password come from the domain
		}
		s.plan.add(Step{On: s.p, Kind: Read, Into: []string{loginSID(i), loginHash(i)}, Title: "Read the SID and the password hash of the login " + login, Text: fill(queryLogin, login)})
	}
}

// makeLogins adds the steps that create the logins on the other server, with the same SIDs.
func (s *situation) makeLogins() {
	for i, login := range s.o.Logins {
		if isWindows(login) {
			s.plan.add(Step{On: s.m, Kind: Do, Title: "Create the same login on this server", Unless: fill(queryPrincipal, login), Text: fill(formWindowsLogin, login),
				Why: "master is not mirrored. On every server the login has the SID of its Windows account."})
			s.grantRights(login)
			continue
		}
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Create the same login on this server", Unless: fill(querySameLogin, login, variable(loginSID(i))),
			Text: fill(formLoginWithSID, login, variable(loginHash(i)), variable(loginSID(i))),
			Why:  "master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as its default, the login would fail on the mirror."})
		s.grantRights(login)
	}
	if s.plan.Topology == Group {
		for _, login := range s.o.Logins {
			if !slices.Contains(s.o.Rights, ServerRight{login, viewServerState, "GRANT"}) {
				s.plan.After = append(s.plan.After, "If proxies log in as "+login+", they need this right to see the replicas' roles. Run on both servers: "+fill(formGrantServer, viewServerState, login))
			}
		}
	}
}

// grantRights adds the steps that give a login the same server rights on the other server.
func (s *situation) grantRights(login string) {
	for _, r := range s.o.Rights {
		if r.Login == login {
			s.plan.add(Step{On: s.m, Kind: Do, Title: "Copy its server right " + r.Permission, Unless: fill(queryRight, login, r.Permission, r.State),
				Text: fill(serverRightForms[r.State], r.Permission, login), Why: "Server rights are stored in master too."})
		}
	}
}

// carryLogins adds the steps that copy missing logins to the other server of a pair. A login that exists there with another
// SID is not changed: it may own something there.
func (s *situation) carryLogins() {
	s.readLogins()
	for i, login := range s.o.Logins {
		if isWindows(login) {
			continue
		}
		s.plan.add(Step{On: s.m, Kind: Check, Title: "This server has no login " + login + " with another SID", Text: fill(queryNoOtherLogin, login, variable(loginSID(i))),
			Refusal: &Refusal{Number: 15025, Message: "the login " + login + " has another SID on this server, so its user would be orphaned after a failover",
				Advice: "if it owns nothing on that server, run there: " + fill(formDropLogin, login) + "; then run pair logins again"}})
	}
	s.makeLogins()
}

// isWindows reports whether a login is a Windows account or group, such as DOMAIN\name.
func isWindows(login string) bool { return strings.Contains(login, `\`) }

// viewServerState is the right to see the roles of a group's replicas.
const viewServerState = "VIEW SERVER STATE"

// ServerRight is a server permission that was granted or denied to a login.
type ServerRight struct {
	Login      string
	Permission string // such as VIEW SERVER STATE
	State      string // GRANT, DENY or GRANT_WITH_GRANT_OPTION: state_desc of sys.server_permissions
}

var serverRightForms = map[string]string{"GRANT": formGrantServer, "DENY": formDenyServer, "GRANT_WITH_GRANT_OPTION": formGrantServerWith}

// permissionName matches a permission's name, which is used in a statement without quotes.
var permissionName = regexp.MustCompile(`^[A-Z]+( [A-Z]+)*$`)

// ServerRights returns the server rights of Options.Logins on the server that has the database open, for Options.Rights. If
// no server has it open, there are none. Membership in server roles is not included.
func ServerRights(ctx context.Context, o Options, seen [2]*Found, servers map[Side]Server) (rights []ServerRight, err error) {
	for i, side := range []Side{A, B} {
		if seen[i].Database == nil || !seen[i].Database.Opens || o.Principal == side.other() {
			continue
		}
		for _, login := range o.Logins {
			rows, err := servers[side].Query(ctx, fill(queryRights, login))
			if err != nil {
				return nil, asRefusal(side, err)
			}
			for _, r := range rows {
				right := ServerRight{login, strings.TrimSpace(r["permission_name"]), r["state_desc"]}
				if !permissionName.MatchString(right.Permission) || serverRightForms[right.State] == "" {
					return nil, &Refusal{On: side, Message: fmt.Sprintf("the login %s has an unknown right: %s %s", login, right.State, right.Permission), Advice: "leave out this login (--login names the logins to copy), and create it by hand"}
				}
				rights = append(rights, right)
			}
		}
		break
	}
	return rights, nil
}

// loginSID and loginHash return the names of the i-th login's variables.
func loginSID(i int) string  { return fmt.Sprint("LoginSid", i+1) }
func loginHash(i int) string { return fmt.Sprint("LoginHash", i+1) }

// Logins returns the logins of the users in the database, for Options.Logins. It asks the
// server that has the database open. If no server has it open, there are none.
func Logins(ctx context.Context, o Options, seen [2]*Found, servers map[Side]Server) ([]string, error) {
	var names []string
	for i, side := range []Side{A, B} {
		if seen[i].Database == nil || !seen[i].Database.Opens || o.Principal == side.other() {
			continue
		}
		rows, err := servers[side].Query(ctx, fill(queryOwners, o.Database))
		if err != nil {
			return nil, asRefusal(side, err)
		}
		for _, r := range rows {
			names = append(names, r["name"])
		}
		break
	}
	return names, nil
}
