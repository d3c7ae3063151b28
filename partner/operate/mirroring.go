package operate

import "time"

// The statements of mirroring, and the query of its view. Forms: ALTER DATABASE … SET
// PARTNER and SET WITNESS.
const (
	formPartner    = `ALTER DATABASE %[ SET PARTNER = %N`
	formSafety     = `ALTER DATABASE %[ SET PARTNER SAFETY %s`
	formWitness    = `ALTER DATABASE %[ SET WITNESS = %N`
	formWitnessOff = `ALTER DATABASE %[ SET WITNESS OFF`
	formFailover   = `ALTER DATABASE %[ SET PARTNER FAILOVER`
	formForce      = `ALTER DATABASE %[ SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS`
	formSuspend    = `ALTER DATABASE %[ SET PARTNER SUSPEND`
	formResume     = `ALTER DATABASE %[ SET PARTNER RESUME`
	formOff        = `ALTER DATABASE %[ SET PARTNER OFF`

	queryMirroring = `SELECT 1 AS yes FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = %N AND %s`
)

// MirroringStatement returns the statement of a verb on a mirrored pair. Failover, Suspend and
// Resume are for the principal, Force for the mirror. Other verbs have none: "".
func MirroringStatement(verb, database string) string {
	form := map[string]string{Failover: formFailover, Force: formForce, Suspend: formSuspend, Resume: formResume}[verb]
	return fill(form, database)
}

// is returns a query of the mirroring view, which returns a row if the condition is true.
func (s *situation) is(condition string) string { return fill(queryMirroring, s.o.Database, condition) }

// The conditions. A mirror shows its columns only to a sysadmin: NULL does not mean "no".
const (
	isMirrored     = `m.mirroring_guid IS NOT NULL`
	isUnmirrored   = `m.mirroring_guid IS NULL`
	isPrincipal    = `m.mirroring_role_desc = N'PRINCIPAL'`
	isOpen         = `m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE'`
	isMirror       = `(m.mirroring_role_desc = N'MIRROR' OR m.mirroring_role_desc IS NULL) AND d.state_desc = N'RESTORING'`
	isSurelyMirror = `m.mirroring_role_desc = N'MIRROR'`
	isFull         = `m.mirroring_safety_level_desc = N'FULL'`
	isConnected    = `m.mirroring_state_desc <> N'DISCONNECTED'`
	isDisconnected = `m.mirroring_state_desc = N'DISCONNECTED'`
	isSynchronized = `m.mirroring_state_desc = N'SYNCHRONIZED'`
	isCatchingUp   = `(m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL)`
	isSuspended    = `(m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL)`
	isNotSuspended = `(m.mirroring_state_desc <> N'SUSPENDED' OR m.mirroring_state_desc IS NULL)`
	hasWitness     = `m.mirroring_witness_name <> N''`
	hasNoWitness   = `(m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N'')`
	mayForce       = `(m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N'' OR m.mirroring_witness_state_desc = N'CONNECTED')`
	witnessIsThere = `m.mirroring_witness_state_desc = N'CONNECTED'`
)

// must adds a check of the mirroring view.
func (s *situation) must(on Side, title, condition string, number int32, message string) {
	r := refuse(number, "%s", message)
	s.plan.add(Step{On: on, Kind: Check, Title: title, Text: s.is(condition), Refusal: r})
}

// until returns a wait for the mirroring view.
func (s *situation) until(on Side, title, condition string, within time.Duration) Step {
	return Step{On: on, Kind: Wait, Title: title, Text: s.is(condition), Within: within,
		Refusal: &Refusal{Message: "state not reached: " + title, Advice: "check pair status and the error logs of both servers"}}
}

func (s *situation) mirroringFailover() {
	db := s.o.Database
	s.must(s.m, "This server is the mirror", isMirror, partnersDisconnected, "this server is not the mirror")
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	s.must(s.p, "SAFETY is FULL, which a failover without data loss requires", isFull, safetyNotFull, "the safety level is not FULL")
	s.must(s.p, "The partners are connected", isConnected, partnersDisconnected, "the partners are not connected")
	s.must(s.p, "The mirror has all that the principal has", isSynchronized, notCaughtUp, "the mirror is not SYNCHRONIZED")
	shown := s.until(s.m, "The former mirror is the principal", isOpen, s.o.Patience)
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Exchange the roles", Text: fill(formFailover, db), Shows: &shown,
			Why: "The session must be in master: SQL Server kills the sessions in the database. The statement may return an error although the roles change: the views decide."},
		shown,
		s.until(s.m, "The new mirror follows", isCatchingUp, s.o.Patience),
		s.until(s.p, "The former principal is the mirror", isMirror, s.o.Patience))
}

func (s *situation) mirroringForce() {
	s.must(s.m, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.m, "This server is the mirror", isSurelyMirror, wrongState, "this server is not the mirror")
	s.must(s.m, "The mirror has lost its principal", isDisconnected, wrongState, "the mirror is connected to its principal, which runs")
	s.must(s.m, "There is no witness, or the mirror is connected to it", mayForce, noQuorum, "the mirror is not connected to the witness")
	shown := s.until(s.m, "The mirror is the principal", isOpen, s.o.Patience)
	s.plan.add(Step{On: s.m, Kind: Do, Title: "Force service", Text: fill(formForce, s.o.Database), Shows: &shown,
		Why: "Data that the mirror had not received is lost. If only the network between the partners is interrupted, the old principal still serves: keep clients away from it."}, shown)
	s.plan.After = append(s.plan.After,
		"When the old principal comes back it becomes the mirror, SUSPENDED. Then run either `pair resume`, which discards the data that only it has, or `pair remove`, and save its data by hand.")
}

func (s *situation) mirroringSuspend() {
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	shown := s.until(s.p, "The session is suspended", isSuspended, s.o.Patience)
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Stop sending the log", Unless: s.is(`m.mirroring_state_desc = N'SUSPENDED'`), Text: fill(formSuspend, s.o.Database), Shows: &shown,
		Why: "Until mirroring is resumed, the log can't be truncated and grows, and new writes have no second copy. The suspension survives restarts."}, shown)
	if s.seen[s.m.index()].Error == "" {
		s.plan.add(s.until(s.m, "The mirror is suspended too", isSuspended, s.o.Patience))
	}
}

func (s *situation) mirroringResume() {
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	s.must(s.p, "The partners are connected", isConnected, partnersDisconnected, "the partners are not connected")
	shown := s.until(s.p, "The mirror catches up", isNotSuspended, s.o.Patience)
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Send the log again", Unless: s.is(isNotSuspended), Text: fill(formResume, s.o.Database), Shows: &shown,
		Why: "After a forced failover this permanently discards the data that only the old principal has."}, shown,
		s.until(s.m, "The mirror catches up too", isNotSuspended, s.o.Patience))
}

func (s *situation) mirroringRemove() {
	db, both := s.o.Database, s.seen[s.m.index()].Error == "" && s.seen[s.p.index()].Error == ""
	at := s.p
	if s.seen[s.p.index()].Error != "" {
		at = s.m
	}
	s.must(at, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	if at == s.p {
		s.plan.add(Step{On: at, Kind: Do, Title: "Remove the witness", Unless: s.is(hasNoWitness), Text: fill(formWitnessOff, db), Ignore: []int32{1439}})
	}
	shown := s.until(at, "The database is no longer mirrored", isUnmirrored, s.o.Patience)
	s.plan.add(Step{On: at, Kind: Do, Title: "End the session", Text: fill(formOff, db), Shows: &shown}, shown)
	if !both {
		s.plan.After = append(s.plan.After, "The other server could not be asked: it ends its session when it connects to its partner. To end it without the partner, run there: "+fill(formOff, db))
	} else {
		s.plan.add(s.until(at.other(), "The other server's copy is no longer mirrored either", isUnmirrored, s.o.Patience))
	}
	s.leaveCopy(both || at == s.m)
}

// leaveCopy adds the steps for the former mirror's copy that Options.Copy asks for.
func (s *situation) leaveCopy(there bool) {
	db := s.o.Database
	switch {
	case there && s.o.Copy == CopyRecover:
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Open the copy", Unless: fill(queryState, db, "ONLINE"), Text: fill(formRecover, db),
			Why: "From now on there are two independent databases with one name: configure the proxy for the right one."},
			Step{On: s.m, Kind: Wait, Title: "The copy is open", Text: fill(queryState, db, "ONLINE"), Within: s.o.Patience,
				Refusal: &Refusal{Message: "the copy does not open", Advice: "read the server's error log"}})
	case there && s.o.Copy == CopyDrop:
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Drop the copy", Text: fill(formDrop, db)})
	default:
		s.plan.After = append(s.plan.After, "The copy on "+string(s.m)+" is still RESTORING. Open it with: "+fill(formRecover, db)+
			"  or drop it with: "+fill(formDrop, db)+"  or mirror again from it: restore a log backup from "+string(s.p)+" there WITH NORECOVERY, then run pair setup --restored.")
	}
	s.plan.After = append(s.plan.After, "Endpoints, certificates and logins are kept: other databases may use them.")
}

func (s *situation) mirroringSetup() {
	db := s.o.Database
	s.readyPrincipal()
	s.must(s.p, "The database is not mirrored yet", isUnmirrored, alreadyMirrored, "the database has a mirroring session already")
	s.connectEndpoints()
	s.fullRecovery()
	s.readLogins()
	if !s.o.Restored {
		s.copyDatabase()
	}
	s.plan.add(Step{On: s.m, Kind: Check, Title: "The copy exists, and is RESTORING", Text: fill(queryState, db, "RESTORING"),
		Refusal: refuse(notRestoring, "the copy is not RESTORING")})
	undo := []Step{{On: s.m, Kind: Do, Title: "Remove the mirror's half of the session; otherwise a second setup fails with 1405", Text: fill(formOff, db), Ignore: []int32{1416}}}
	synchronized := s.until(s.p, "The mirror has caught up", isSynchronized, 30*s.o.Patience)
	connected := s.until(s.p, "The session has started", isPrincipal+" AND "+isConnected, s.o.Patience)
	s.plan.add(
		Step{On: s.m, Kind: Do, Title: "First set the partner on the mirror; this does not connect to the principal", Text: fill(formPartner, db, "TCP://"+s.o.Endpoint[s.p.index()])},
		Step{On: s.p, Kind: Do, Title: "Then set the partner on the principal, which connects to the mirror and starts the session", Text: fill(formPartner, db, "TCP://"+s.o.Endpoint[s.m.index()]),
			Again: transient, Undo: undo, Shows: &connected,
			Why: "1418 here often means a missing certificate or GRANT CONNECT, or a closed port: read both error logs. The statement can succeed and the session fail later: the next step checks."},
		connected, synchronized,
		Step{On: s.p, Kind: Do, Title: "Set SAFETY " + s.o.Safety, Unless: s.is(`m.mirroring_safety_level_desc = ` + text(s.o.Safety)), Text: fill(formSafety, db, s.o.Safety)})
	if s.o.Witness != "" {
		if !s.o.WitnessReached {
			s.plan.After = append(s.plan.After, "The witness was not checked: its endpoint must be STARTED with ROLE WITNESS or ALL, and both partners must have CONNECT on it.")
		}
		s.plan.add(Step{On: s.p, Kind: Do, Title: "Set the witness, which makes automatic failover possible", Unless: s.is(`m.mirroring_witness_name = ` + text("TCP://"+s.o.Witness)),
			Text: fill(formWitness, db, "TCP://"+s.o.Witness), Again: []int32{1404, 1426},
			Why: "With a witness, a principal that is connected to neither mirror nor witness closes its database (955)."},
			s.until(s.p, "The witness is connected", witnessIsThere, s.o.Patience))
	}
	s.plan.add(s.until(s.m, "The mirror catches up too", isCatchingUp, s.o.Patience))
	s.makeLogins()
	s.plan.After = append(s.plan.After,
		"Jobs are not mirrored: create the log backup job, and every other job that uses the database, on both servers.")
}

// readyPrincipal adds the checks that the database can be mirrored or be in a group.
func (s *situation) readyPrincipal() {
	db := s.o.Database
	one := func(title, condition string, r *Refusal) {
		s.plan.add(Step{On: s.p, Kind: Check, Title: title, Text: fill(`SELECT 1 AS yes FROM sys.databases WHERE name = %N AND %s`, db, condition), Refusal: r})
	}
	one("The database exists, and is open", `state_desc = N'ONLINE'`, refuse(911, "the database does not exist, or is not ONLINE"))
	one("The database is MULTI_USER", `user_access_desc = N'MULTI_USER'`, refuse(notMultiUser, "the database is not MULTI_USER"))
	one("The database is not READ_ONLY", `is_read_only = 0`, refuse(readOnly, "the database is READ_ONLY"))
	one("AUTO_CLOSE is OFF", `is_auto_close_on = 0`, refuse(autoClose, "AUTO_CLOSE is ON"))
	one("The database is in no availability group", `replica_id IS NULL`, &Refusal{Message: "the database is in an availability group", Advice: "remove it from the group first: pair remove --topology availability-group"})
	for _, t := range s.o.Tables {
		s.plan.add(Step{On: s.p, Kind: Check, Title: "The tables are in the database itself",
			Text:    fill(`SELECT 1 AS yes FROM sys.databases WHERE name = %N AND OBJECT_ID(%N) IS NOT NULL`, db, name(db)+".dbo."+name(t)),
			Refusal: &Refusal{Message: "the database has no table " + t, Advice: "the tables are in tempdb, which can't be mirrored (aspnet_regsql -sstype t), or not installed: run mirrorstate install"}})
	}
}
