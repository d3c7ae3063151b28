package operate

import "strings"

// The statements of availability groups. Forms: CREATE and ALTER AVAILABILITY GROUP; the
// read-scale (CLUSTER_TYPE = NONE) procedure.
const (
	formCreateGroup = `CREATE AVAILABILITY GROUP %[ WITH (CLUSTER_TYPE = NONE) FOR REPLICA ON %s, %s`
	formReplica     = `%N WITH (ENDPOINT_URL = %N, AVAILABILITY_MODE = %s, FAILOVER_MODE = MANUAL, SEEDING_MODE = AUTOMATIC, SECONDARY_ROLE (ALLOW_CONNECTIONS = NO))`
	formJoin        = `ALTER AVAILABILITY GROUP %[ JOIN WITH (CLUSTER_TYPE = NONE)`
	formMayCreate   = `ALTER AVAILABILITY GROUP %[ GRANT CREATE ANY DATABASE`
	formAdd         = `ALTER AVAILABILITY GROUP %[ ADD DATABASE %[`
	formSynchronous = `ALTER AVAILABILITY GROUP %[ MODIFY REPLICA ON %N WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT)`
	formRequired    = `ALTER AVAILABILITY GROUP %[ SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = %s)`
	formOffline     = `ALTER AVAILABILITY GROUP %[ OFFLINE`
	formGroupForce  = `ALTER AVAILABILITY GROUP %[ FORCE_FAILOVER_ALLOW_DATA_LOSS`
	formGroupOver   = `ALTER AVAILABILITY GROUP %[ FAILOVER`
	formSecondary   = `ALTER AVAILABILITY GROUP %[ SET (ROLE = SECONDARY)`
	formRemoveOther = `ALTER AVAILABILITY GROUP %[ REMOVE REPLICA ON %N`
	formRemoveData  = `ALTER AVAILABILITY GROUP %[ REMOVE DATABASE %[`
	formDropGroup   = `DROP AVAILABILITY GROUP %[`
	formHadrSuspend = `ALTER DATABASE %[ SET HADR SUSPEND`
	formHadrResume  = `ALTER DATABASE %[ SET HADR RESUME`

	queryReplica = `SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.dm_hadr_availability_replica_states s ON s.group_id = g.group_id ` +
		`WHERE g.name = %N AND s.is_local = 1 AND %s`
	queryReplicaDB = `SELECT 1 AS yes FROM sys.availability_databases_cluster c JOIN sys.dm_hadr_database_replica_states l ON l.group_database_id = c.group_database_id ` +
		`WHERE c.database_name = %N AND l.is_local = 1 AND %s`
	queryMode = `SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_replicas r ON r.group_id = g.group_id ` +
		`WHERE g.name = %N AND r.replica_server_name = %N AND r.availability_mode_desc = N'SYNCHRONOUS_COMMIT'`
	queryGroupThere = `SELECT 1 AS yes FROM sys.availability_groups WHERE name = %N`
	queryGrouped    = `SELECT 1 AS yes FROM sys.availability_databases_cluster WHERE database_name = %N`
	queryOthers     = `SELECT 1 AS yes FROM sys.availability_groups g JOIN sys.availability_databases_cluster c ON c.group_id = g.group_id ` +
		`WHERE g.name = %N AND c.database_name <> %N`
	queryHadr      = `SELECT 1 AS yes WHERE CONVERT(int, SERVERPROPERTY(N'IsHadrEnabled')) = 1`
	queryNoDB      = `SELECT 1 AS yes WHERE DB_ID(%N) IS NULL`
	querySameName  = `SELECT 1 AS yes WHERE @@SERVERNAME = %N`
	queryUngrouped = `SELECT 1 AS yes FROM sys.databases WHERE name = %N AND replica_id IS NULL`
)

// The conditions on a replica and on its database.
const (
	isPrimary             = `s.role_desc = N'PRIMARY'`
	isSecondary           = `s.role_desc = N'SECONDARY'`
	isNoPrimary           = `(s.role_desc = N'SECONDARY' OR s.role_desc = N'RESOLVING')`
	isReplicaSynchronized = `l.synchronization_state_desc = N'SYNCHRONIZED' AND l.is_suspended = 0`
	isMoving              = `l.is_suspended = 0`
	isStopped             = `l.is_suspended = 1`
	isFitToBePrimary      = `l.synchronization_state_desc <> N'REVERTING' AND l.synchronization_state_desc <> N'INITIALIZING'`
)

// The errors after which a Do is ignored or retried.
var (
	alreadyThere = []int32{alreadyPrimary}
	notSuspended = []int32{35239, 35242}
	// busyGroup are the errors of a group while its roles change. notYetSecondary adds errors that were seen on an old primary
	// after SET (ROLE = SECONDARY).
	busyGroup       = []int32{41138, 41165, 41166}
	notYetSecondary = []int32{41104, 41131, 41138, 41165, 41166}
)

func (s *situation) replicaIs(condition string) string {
	return fill(queryReplica, s.group, condition)
}
func (s *situation) replicaDBIs(condition string) string {
	return fill(queryReplicaDB, s.o.Database, condition)
}

func (s *situation) mustBe(on Side, title, query string, number int32, message string) {
	s.plan.add(Step{On: on, Kind: Check, Title: title, Text: query, Refusal: refuse(number, "%s", message)})
}

func (s *situation) waitFor(on Side, title, query string) Step {
	return Step{On: on, Kind: Wait, Title: title, Text: query, Within: s.o.Patience,
		Refusal: &Refusal{Message: "state not reached: " + title, Advice: "check pair status and the error logs of both servers"}}
}

func (s *situation) groupFailover() {
	s.mustBe(s.p, "This server is the primary", s.replicaIs(isPrimary), 41140, "this server is not the group's primary")
	s.mustBe(s.m, "This server is a secondary", s.replicaIs(isSecondary), onlySecondary, "this server is not a secondary of the group")
	s.mustBe(s.m, "The secondary has all that the primary has, and is not suspended", s.replicaDBIs(isReplicaSynchronized), groupNotCaughtUp, "the secondary is not SYNCHRONIZED")
	if s.cluster == "WSFC" {
		shown := s.waitFor(s.m, "The former secondary is the primary", s.replicaIs(isPrimary))
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Exchange the roles; with a cluster the statement runs on the new primary", Text: fill(formGroupOver, s.group), Ignore: alreadyThere, Shows: &shown},
			shown, s.waitFor(s.p, "The former primary is a secondary", s.replicaIs(isSecondary)))
		return
	}
	s.clusterlessFailover()
}

// clusterlessFailover is the documented failover without data loss for a group without a cluster. It ends with a forced
// failover. The manual sets REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT to 0 at the end. Here it is set as soon as the new
// primary serves: the later steps may fail or take long, and until then no commit would succeed.
func (s *situation) clusterlessFailover() {
	normal := func(on Side) Step {
		return Step{On: on, Kind: Do, Title: "Allow writes without the secondary again", Text: fill(formRequired, s.group, 0), Again: busyGroup}
	}
	for _, r := range []Side{s.p, s.m} {
		s.plan.add(Step{On: s.p, Kind: Do, Title: "Let commits wait for " + string(r) + ", so that no data can be lost", Unless: fill(queryMode, s.group, s.replica(r)), Text: fill(formSynchronous, s.group, s.replica(r))})
	}
	s.plan.add(
		s.waitFor(s.m, "The secondary shows SYNCHRONIZED", s.replicaDBIs(isReplicaSynchronized)),
		s.waitFor(s.p, "The primary shows SYNCHRONIZED", s.replicaDBIs(isReplicaSynchronized)),
		Step{On: s.p, Kind: Do, Title: "Allow no commit without the secondary from now on", Text: fill(formRequired, s.group, 1), Undo: []Step{normal(s.p)},
			Why: "It is set to 0 again as soon as the secondary has taken over: with 1 the primary refuses writes while the secondary is away."},
		Step{On: s.p, Kind: Do, Title: "Stop the primary; no server serves until the next step", Text: fill(formOffline, s.group), Undo: []Step{normal(s.p)}, Out: s.recoverOld(),
			Why: "19416 means that the secondary is no longer SYNCHRONIZED: nothing was done."})
	shown := s.waitFor(s.m, "The former secondary is the primary", s.replicaIs(isPrimary))
	shown.Out, shown.Undo = s.recoverOld()+" Otherwise: "+s.recoverNew(), []Step{normal(s.m)}
	s.plan.add(
		Step{On: s.m, Kind: Do, Title: "Make the secondary the primary", Text: fill(formGroupForce, s.group), Ignore: alreadyThere, Shows: &shown,
			Undo: []Step{{On: s.p, Kind: Do, Title: "Make the old primary serve again", Text: fill(formGroupForce, s.group), Ignore: alreadyThere}, normal(s.p)}, Out: s.recoverOld(),
			Why: "Without a cluster there is no other command. No data is lost: the secondary was SYNCHRONIZED, and nothing has been written since."},
		shown)
	allowed := normal(s.m)
	allowed.Out, allowed.Undo = s.recoverNew(), []Step{normal(s.m)} // the Undo retries it, on another connection
	s.plan.add(allowed)
	s.followAgain()
}

// followAgain adds the steps that make the stopped old primary a secondary.
func (s *situation) followAgain() {
	became := s.waitFor(s.p, "The old primary is a secondary", s.replicaIs(isSecondary))
	became.Out = s.recoverNew()
	again := s.waitFor(s.p, "Data movement is resumed, and the secondary is SYNCHRONIZED", s.replicaDBIs(isReplicaSynchronized))
	again.Out = s.recoverNew()
	again.Repeat = s.resumed(s.p)
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Make the old primary a secondary", Text: fill(formSecondary, s.group), Again: notYetSecondary, Shows: &became, Out: s.recoverNew(),
			Why: "SQL Server can refuse it with 41104 for a while. Meanwhile the new primary serves clients, without a second copy."},
		became, again)
}

// resumed returns the RESUME that a wait repeats. After a forced failover data movement is suspended. The suspension can
// appear late: then an earlier RESUME had no effect, and must be sent again.
func (s *situation) resumed(on Side) *Step {
	return &Step{On: on, Kind: Do, Title: "Resume data movement", Unless: s.replicaDBIs(isMoving), Text: fill(formHadrResume, s.o.Database), Ignore: notSuspended}
}

// recoverOld and recoverNew tell a person how to recover from a failover that failed halfway: with the old primary, and with
// the new one.
func (s *situation) recoverOld() string {
	p, m := string(s.p), string(s.m)
	return "If " + m + " is not the primary (pair status), make " + p + " serve again. On " + p + ": " + fill(formGroupForce, s.group) + "; on " + p + ": " + fill(formRequired, s.group, 0) + "."
}

func (s *situation) recoverNew() string {
	p, m := string(s.p), string(s.m)
	return m + " is the primary and serves. On " + m + ": " + fill(formRequired, s.group, 0) + "; on " + p + ": " + fill(formSecondary, s.group) +
		" (after 41104 repeat it; if the error stays, restart the service of " + p + " first); on " + p + ": " + fill(formHadrResume, s.o.Database) +
		", repeated until pair status shows SYNCHRONIZED. Keep clients away from " + p + " until then."
}

func (s *situation) groupForce() {
	s.mustBe(s.m, "This server is not the primary", s.replicaIs(isNoPrimary), alreadyPrimary, "this server is not a secondary of the group")
	s.mustBe(s.m, "Its copy can become primary", s.replicaDBIs(isFitToBePrimary), 41134, "the copy is REVERTING or INITIALIZING: it can't become primary")
	shown := s.waitFor(s.m, "The secondary is the primary", s.replicaIs(isPrimary))
	s.plan.add(Step{On: s.m, Kind: Do, Title: "Force the failover", Text: fill(formGroupForce, s.group), Ignore: alreadyThere, Shows: &shown,
		Why: "Data that the secondary had not received is lost."}, shown)
	if s.cluster == "WSFC" {
		s.plan.After = append(s.plan.After, "When the old primary comes back it is a suspended secondary: `pair resume` discards the data that only it has.")
		return
	}
	s.plan.add(Step{On: s.m, Kind: Do, Title: "Remove the old primary from the group", Text: fill(formRemoveOther, s.group, s.replica(s.p)), Ignore: []int32{41100},
		Why: "Without a cluster a lost primary that comes back is primary again, and accepts writes."})
	s.plan.After = append(s.plan.After, "As soon as "+string(s.p)+" comes back, before any client reaches it, run there: "+fill(formOffline, s.group)+
		"  (refused with 19416 while its secondary is away: then keep clients away from it). Save the data that only it has, then run there: "+fill(formDropGroup, s.group)+"; "+fill(formDrop, s.o.Database)+"; then `pair setup` adds it again.")
}

func (s *situation) groupSuspend() {
	s.mustBe(s.p, "This server is the primary: suspending there stops data movement to all replicas", s.replicaIs(isPrimary), onlyPrimary, "this server is not the group's primary")
	shown := s.waitFor(s.p, "Data movement is suspended", s.replicaDBIs(isStopped))
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Stop sending the log", Unless: s.replicaDBIs(isStopped), Text: fill(formHadrSuspend, s.o.Database), Shows: &shown,
		Why: "Until data movement is resumed, the log can't be truncated and grows, and new writes have no second copy."}, shown)
}

func (s *situation) groupResume() {
	s.mustBe(s.p, "This server is the primary", s.replicaIs(isPrimary), onlyPrimary, "this server is not the group's primary")
	for _, on := range []Side{s.p, s.m} {
		resumed, moving := *s.resumed(on), s.waitFor(on, "Data movement is resumed", s.replicaDBIs(isMoving))
		resumed.Why = "After a forced failover the secondary is suspended, and this permanently discards the data that only it has."
		moving.Repeat = s.resumed(on)
		s.plan.add(resumed, moving)
	}
}

func (s *situation) groupRemove() {
	s.mustBe(s.p, "This server is the primary", s.replicaIs(isPrimary), onlyPrimary, "this server is not the group's primary")
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Remove the database from the group", Unless: fill(queryUngrouped, s.o.Database), Text: fill(formRemoveData, s.group, s.o.Database)},
		s.waitFor(s.p, "The database is in no group", fill(queryUngrouped, s.o.Database)))
	if s.cluster == "WSFC" {
		s.plan.After = append(s.plan.After, "The group itself stays; the cluster manages it.")
	} else {
		for _, on := range []Side{s.p, s.m} {
			if s.seen[on.index()].Error == "" {
				s.plan.add(Step{On: on, Kind: Do, Title: "Drop the group on this server, unless it has other databases; without a cluster each server has its own", Unless: fill(queryOthers, s.group, s.o.Database),
					Text: fill(formDropGroup, s.group), Ignore: []int32{noSuchGroup}})
			}
		}
	}
	s.leaveCopy(s.seen[s.m.index()].Error == "")
}

func (s *situation) groupSetup() {
	db := s.o.Database
	for _, on := range []Side{s.p, s.m} {
		s.mustBe(on, "Availability groups are enabled", queryHadr, groupsDisabled, "availability groups are not enabled for this instance")
		s.plan.add(Step{On: on, Kind: Check, Title: "The replica has the server's name", Text: fill(querySameName, s.replica(on)),
			Refusal: &Refusal{Number: 35250, Message: "@@SERVERNAME is not " + s.replica(on), Advice: "a replica must have the server's name; a container keeps the name of its first start in its volume"}})
	}
	s.readyPrincipal()
	s.plan.add(Step{On: s.m, Kind: Check, Title: "There is no database with that name yet", Text: fill(queryNoDB, db), Refusal: refuse(1801, "the secondary has a database with that name already")})
	s.connectEndpoints()
	s.fullRecovery()
	s.readLogins()
	full, _ := s.files()
	mode := "SYNCHRONOUS_COMMIT"
	if s.o.Safety == "OFF" {
		mode = "ASYNCHRONOUS_COMMIT"
	}
	var replicas []any
	for _, on := range []Side{s.p, s.m} {
		replicas = append(replicas, fill(formReplica, s.replica(on), "tcp://"+s.o.Endpoint[on.index()], mode))
	}
	seeded := s.waitFor(s.m, "The copy exists and is synchronized", s.replicaDBIs(`(l.synchronization_state_desc = N'SYNCHRONIZED' OR `+text(s.o.Safety)+` = N'OFF' AND l.synchronization_state_desc = N'SYNCHRONIZING')`))
	seeded.Within = 30 * s.o.Patience
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Take a full backup, which a database needs before it is added", Text: fill(formBackup, db, full)},
		Step{On: s.p, Kind: Do, Title: "Create the group, without a cluster", Unless: fill(queryGroupThere, s.group), Text: fill(formCreateGroup, append([]any{s.group}, replicas...)...),
			Why: "ALLOW_CONNECTIONS = NO: a login on the wrong server fails at once (976), and not at its first write (3906)."},
		Step{On: s.m, Kind: Do, Title: "Join the secondary to the group", Unless: fill(queryGroupThere, s.group), Text: fill(formJoin, s.group), Again: []int32{35250},
			Why: "35250 can mean a certificate, a name that does not resolve, or a primary that does not run."},
		Step{On: s.m, Kind: Do, Title: "Let the group create the database on this server", Text: fill(formMayCreate, s.group)},
		Step{On: s.p, Kind: Do, Title: "Let it create the database here too, for the time after a failover", Text: fill(formMayCreate, s.group)},
		Step{On: s.p, Kind: Do, Title: "Add the database to the group, which copies it to the secondary", Unless: fill(queryGrouped, db), Text: fill(formAdd, s.group, db), Again: []int32{19494}},
		seeded)
	s.makeLogins()
	s.plan.After = append(s.plan.After,
		"A group without a cluster has no automatic failover, and its listener does not move: clients reach the primary through mirrorstate.",
		"Jobs are not replicated: create the log backup job, and every other job that uses the database, on both servers.")
}

// replica returns a server's name in the group.
func (s *situation) replica(side Side) string {
	f := s.seen[side.index()]
	if f.ServerName != "" {
		return f.ServerName
	}
	// The name of a server that can't be asked is in the other server's list of replicas.
	if g := s.seen[side.other().index()].Group; g != nil {
		for _, r := range g.Replicas {
			if !strings.EqualFold(r.Server, s.seen[side.other().index()].ServerName) {
				return r.Server
			}
		}
	}
	return s.o.ReplicaName[side.index()]
}
