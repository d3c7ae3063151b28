package operate

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The statements that bring the database to the mirror. Forms: "Prepare a mirror database".
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

// queryOwners has the logins that own users in the database, of SQL Server and of Windows: those must be known to the other server too.
const queryOwners = `SELECT l.name FROM %[.sys.database_principals u JOIN sys.server_principals l ON l.sid = u.sid WHERE l.principal_id > 1 AND l.type IN ('S', 'U', 'G') ORDER BY l.name`

// the errors of a file that is not there (yet), or not whole.
var notThereYet = []int32{3013, 3201, 3203, 3241}

// files are the backups' paths.
func (s *situation) files() (full, log string) {
	stem := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\/:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s.o.Database)
	return inFolder(s.o.Share, stem+"-mirrorstate.bak"), inFolder(s.o.Share, stem+"-mirrorstate.trn")
}

// fullRecovery has the principal keep its log.
func (s *situation) fullRecovery() {
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Full recovery: the log is what mirroring sends", Unless: fill(queryFullRecovery, s.o.Database), Text: fill(formRecoveryFull, s.o.Database), Again: []int32{5061},
		Why: "From now on only log backups free the log. Make sure that a job takes some, on both servers: without one the log fills the disk."})
}

// copyDatabase brings the database to the mirror by backup and restore, and leaves it RESTORING there.
func (s *situation) copyDatabase() {
	full, log := s.files()
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "A full backup", Text: fill(formBackup, s.o.Database, full),
			Why: "From here on no other log backup may be taken, or it must be restored on the mirror too (1408, 1409, 1412, 1478): let the log backup job pause."},
		Step{On: s.p, Kind: Do, Title: "A log backup, without which mirroring does not start", Text: fill(formBackupLog, s.o.Database, log)})
	for _, file := range []string{full, log} {
		title := "The backup " + file + " can be read from here too"
		if s.o.Share == "" {
			title = "Carry " + file + " from " + string(s.p) + "'s default backup folder to that of " + string(s.m)
		}
		s.plan.add(Step{On: s.m, Kind: Carry, Title: title, Text: fill(formFileList, file), Within: s.o.CarryPatience,
			Refusal: &Refusal{Number: 3201, Message: "the backup " + file + " has not arrived", Advice: "carry it over and run pair setup again, or name a folder that both servers reach with --share"},
			Why:     "The path is as the SQL Server service on each machine sees it, and its account must be allowed to read there."})
	}
	restore := fill(formRestore, s.o.Database, full)
	for i, logical := range s.logicalNames() {
		if s.o.MirrorData != "" {
			restore += fill(`, MOVE %N TO %N`, logical, inFolder(s.o.MirrorData, logical+[]string{".mdf", ".ldf"}[min(i, 1)]))
		}
	}
	s.plan.add(
		Step{On: s.m, Kind: Do, Title: "The copy, which stays closed", Unless: fill(queryState, s.o.Database, "RESTORING"), Text: restore,
			Why: "NORECOVERY: a copy that was opened once can't be mirrored any more. REPLACE is left out on purpose: it would overwrite a database of that name."},
		Step{On: s.m, Kind: Do, Title: "And the log since", Text: fill(formRestoreLog, s.o.Database, log), Ignore: []int32{4326}})
}

// logicalNames are the names of the database's files, data first.
func (s *situation) logicalNames() []string {
	if d := s.seen[s.p.index()].Database; d != nil && len(d.Logical) > 0 {
		return d.Logical
	}
	return []string{s.o.Database, s.o.Database + "_log"}
}

// readLogins asks for the database's logins: a user belongs to a SID, not to a name.
func (s *situation) readLogins() {
	for i, login := range s.o.Logins {
		if isWindows(login) {
			continue // its SID is the domain's, and its password too
		}
		s.plan.add(Step{On: s.p, Kind: Read, Into: []string{loginSID(i), loginHash(i)}, Title: "The SID and the password's hash of the login " + login, Text: fill(queryLogin, login)})
	}
}

// makeLogins has the other server know them, by the same SIDs.
func (s *situation) makeLogins() {
	for i, login := range s.o.Logins {
		if isWindows(login) {
			s.plan.add(Step{On: s.m, Kind: Do, Title: "The same login there", Unless: fill(queryPrincipal, login), Text: fill(formWindowsLogin, login),
				Why: "master is not mirrored. The login's SID is that of its Windows account, on every server."})
			s.giveRights(login)
			continue
		}
		s.plan.add(Step{On: s.m, Kind: Do, Title: "The same login there", Unless: fill(querySameLogin, login, variable(loginSID(i))),
			Text: fill(formLoginWithSID, login, variable(loginHash(i)), variable(loginSID(i))),
			Why:  "master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as default the login would fail on the mirror."})
		s.giveRights(login)
	}
	if s.plan.Topology == Group {
		for _, login := range s.o.Logins {
			if !slices.Contains(s.o.Rights, ServerRight{login, viewServerState, "GRANT"}) {
				s.plan.After = append(s.plan.After, "If proxies log in as "+login+", run on both servers, or they can't see the replicas' roles: "+fill(formGrantServer, viewServerState, login))
			}
		}
	}
}

// giveRights has a login do on the other server what it may do on this one.
func (s *situation) giveRights(login string) {
	for _, r := range s.o.Rights {
		if r.Login == login {
			s.plan.add(Step{On: s.m, Kind: Do, Title: "And its right on the server: " + r.Permission, Unless: fill(queryRight, login, r.Permission, r.State),
				Text: fill(serverRightForms[r.State], r.Permission, login), Why: "What a login may do on the server stands in master too."})
		}
	}
}

// carryLogins gives the other server of a pair the logins that it lacks. A login that is there with another SID is left as it
// is: what it owns there nobody can tell from here.
func (s *situation) carryLogins() {
	s.readLogins()
	for i, login := range s.o.Logins {
		if isWindows(login) {
			continue
		}
		s.plan.add(Step{On: s.m, Kind: Check, Title: "There is no other login " + login + " there", Text: fill(queryNoOtherLogin, login, variable(loginSID(i))),
			Refusal: &Refusal{Number: 15025, Message: "the login " + login + " is there with another SID, so that its user belongs to nobody after a failover",
				Advice: "if it owns nothing on that server, run there: " + fill(formDropLogin, login) + "; then run pair logins again"}})
	}
	s.makeLogins()
}

// isWindows reports whether a login is that of a Windows account or group, such as DOMAIN\name.
func isWindows(login string) bool { return strings.Contains(login, `\`) }

// viewServerState is the right to see the roles of a group's replicas.
const viewServerState = "VIEW SERVER STATE"

// ServerRight is a permission of the server that a login was granted or denied.
type ServerRight struct {
	Login      string
	Permission string // such as VIEW SERVER STATE
	State      string // GRANT, DENY or GRANT_WITH_GRANT_OPTION: state_desc of sys.server_permissions
}

var serverRightForms = map[string]string{"GRANT": formGrantServer, "DENY": formDenyServer, "GRANT_WITH_GRANT_OPTION": formGrantServerWith}

// permissionName is what a permission's name looks like. It stands in a statement as it is.
var permissionName = regexp.MustCompile(`^[A-Z]+( [A-Z]+)*$`)

// ServerRights asks what the logins may do on the server that has the database open, for Options.Rights; where none has,
// nothing. Membership in server roles is not among it.
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
					return nil, &Refusal{On: side, Message: fmt.Sprintf("the login %s has a right that is not known: %s %s", login, right.State, right.Permission), Advice: "leave the login out (--login names those that are carried over), and make it by hand"}
				}
				rights = append(rights, right)
			}
		}
		break
	}
	return rights, nil
}

// loginSID and loginHash are the variables of the i-th login.
func loginSID(i int) string  { return fmt.Sprint("LoginSid", i+1) }
func loginHash(i int) string { return fmt.Sprint("LoginHash", i+1) }

// Logins asks which SQL logins own users in the database, for Options.Logins. Only the
// server that has the database open can be asked; where none has, there are none.
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
