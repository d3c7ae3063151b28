package operate

import "time"

// The statements of mirroring, and what its view must say. Forms: ALTER DATABASE … SET
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

// MirroringStatement is the one statement that a verb comes down to on a mirrored pair: Failover, Suspend and
// Resume for the principal, Force for the mirror; "" for other verbs.
func MirroringStatement(verb, database string) string {
	form := map[string]string{Failover: formFailover, Force: formForce, Suspend: formSuspend, Resume: formResume}[verb]
	return fill(form, database)
}

// is is a query of the mirroring view, which gives a row if the condition holds.
func (s *situation) is(condition string) string { return fill(queryMirroring, s.o.Database, condition) }

// The conditions. A mirror shows its columns to a sysadmin alone: NULL is not "no".
const (
	isMirrored     = `m.mirroring_guid IS NOT NULL`
	isUnmirrored   = `m.mirroring_guid IS NULL`
	isPrincipal    = `m.mirroring_role_desc = N'PRINCIPAL'`
	isOpen         = `m.mirroring_role_desc = N'PRINCIPAL' AND d.state_desc = N'ONLINE'`
	isMirror       = `(m.mirroring_role_desc = N'MIRROR' OR m.mirroring_role_desc IS NULL) AND d.state_desc = N'RESTORING'`
	isSurelyMirror = `m.mirroring_role_desc = N'MIRROR'`
	isFull         = `m.mirroring_safety_level_desc = N'FULL'`
	isConnected    = `m.mirroring_state_desc <> N'DISCONNECTED'`
	isAlone        = `m.mirroring_state_desc = N'DISCONNECTED'`
	isSynchronized = `m.mirroring_state_desc = N'SYNCHRONIZED'`
	isCatchingUp   = `(m.mirroring_state_desc = N'SYNCHRONIZED' OR m.mirroring_state_desc = N'SYNCHRONIZING' OR m.mirroring_state_desc IS NULL)`
	isSuspended    = `(m.mirroring_state_desc = N'SUSPENDED' OR m.mirroring_state_desc IS NULL)`
	isNotSuspended = `(m.mirroring_state_desc <> N'SUSPENDED' OR m.mirroring_state_desc IS NULL)`
	hasWitness     = `m.mirroring_witness_name <> N''`
	hasNoWitness   = `(m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N'')`
	mayForce       = `(m.mirroring_witness_name IS NULL OR m.mirroring_witness_name = N'' OR m.mirroring_witness_state_desc = N'CONNECTED')`
	witnessIsThere = `m.mirroring_witness_state_desc = N'CONNECTED'`
)

// must is a check of the mirroring view.
func (s *situation) must(on Side, title, condition string, number int32, message string) {
	r := refuse(number, "%s", message)
	s.plan.add(Step{On: on, Kind: Check, Title: title, Text: s.is(condition), Refusal: r})
}

// until is a wait for the mirroring view.
func (s *situation) until(on Side, title, condition string, within time.Duration) Step {
	return Step{On: on, Kind: Wait, Title: title, Text: s.is(condition), Within: within,
		Refusal: &Refusal{Message: "it did not come about: " + title, Advice: "see pair status and both servers' error logs"}}
}

func (s *situation) mirroringFailover() {
	db := s.o.Database
	s.must(s.m, "The other server is its mirror", isMirror, partnersApart, "the other server does not say that it is the mirror")
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	s.must(s.p, "SAFETY is FULL: only then can the roles change with nothing lost", isFull, safetyNotFull, "the safety level is not FULL")
	s.must(s.p, "The partners see each other", isConnected, partnersApart, "the partners don't see each other")
	s.must(s.p, "The mirror has all that the principal has", isSynchronized, notCaughtUp, "the mirror is not SYNCHRONIZED")
	shown := s.until(s.m, "The former mirror is the principal", isOpen, s.o.Patience)
	s.plan.add(
		Step{On: s.p, Kind: Do, Title: "Exchange the roles", Text: fill(formFailover, db), Shows: &shown,
			Why: "The session must be in master: those in the database are killed. It may return an error although the roles change: what counts is what the views say."},
		shown,
		s.until(s.m, "The new mirror follows", isCatchingUp, s.o.Patience),
		s.until(s.p, "The former principal is the mirror", isMirror, s.o.Patience))
}

func (s *situation) mirroringForce() {
	s.must(s.m, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.m, "This server is the mirror", isSurelyMirror, wrongState, "this server is not the mirror")
	s.must(s.m, "The mirror has lost its principal", isAlone, wrongState, "the mirror is connected to its principal, which lives")
	s.must(s.m, "There is no witness, or the mirror sees it", mayForce, noWitnessSeen, "the mirror does not see the witness")
	shown := s.until(s.m, "The mirror is the principal", isOpen, s.o.Patience)
	s.plan.add(Step{On: s.m, Kind: Do, Title: "Force service", Text: fill(formForce, s.o.Database), Shows: &shown,
		Why: "What the mirror had not received is lost. Where only the network between the partners is cut, the old principal goes on serving: keep clients away from it."}, shown)
	s.plan.After = append(s.plan.After,
		"When the old principal comes back it becomes the mirror, SUSPENDED. Then either `pair resume`, which throws away what only it has, or `pair remove`, and save its data by hand.")
}

func (s *situation) mirroringSuspend() {
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	shown := s.until(s.p, "The session is suspended", isSuspended, s.o.Patience)
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Stop sending the log", Unless: s.is(`m.mirroring_state_desc = N'SUSPENDED'`), Text: fill(formSuspend, s.o.Database), Shows: &shown,
		Why: "Until it is resumed the log can't be truncated and grows, and nothing that is written has a second copy. It outlasts restarts."}, shown)
	if s.seen[s.m.index()].Error == "" {
		s.plan.add(s.until(s.m, "The mirror says so too", isSuspended, s.o.Patience))
	}
}

func (s *situation) mirroringResume() {
	s.must(s.p, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	s.must(s.p, "This server is the principal", isPrincipal, onlyPrincipal, "this server is not the principal")
	s.must(s.p, "The partners see each other", isConnected, partnersApart, "the partners don't see each other")
	shown := s.until(s.p, "The mirror catches up", isNotSuspended, s.o.Patience)
	s.plan.add(Step{On: s.p, Kind: Do, Title: "Send the log again", Unless: s.is(isNotSuspended), Text: fill(formResume, s.o.Database), Shows: &shown,
		Why: "After a forced failover this throws away, for good, what only the old principal has."}, shown,
		s.until(s.m, "The mirror says so too", isNotSuspended, s.o.Patience))
}

func (s *situation) mirroringRemove() {
	db, both := s.o.Database, s.seen[s.m.index()].Error == "" && s.seen[s.p.index()].Error == ""
	at := s.p
	if s.seen[s.p.index()].Error != "" {
		at = s.m
	}
	s.must(at, "The database is mirrored", isMirrored, notMirrored, "the database is not mirrored, or this login may not see it")
	if at == s.p {
		s.plan.add(Step{On: at, Kind: Do, Title: "Without the witness", Unless: s.is(hasNoWitness), Text: fill(formWitnessOff, db), Ignore: []int32{1439}})
	}
	shown := s.until(at, "It is not mirrored any more", isUnmirrored, s.o.Patience)
	s.plan.add(Step{On: at, Kind: Do, Title: "End the session", Text: fill(formOff, db), Shows: &shown}, shown)
	if !both {
		s.plan.After = append(s.plan.After, "The other server could not be asked: it learns of the end when it meets its partner. If it is to stand alone, run there: "+fill(formOff, db))
	} else {
		s.plan.add(s.until(at.other(), "Nor is the other server's copy", isUnmirrored, s.o.Patience))
	}
	s.leaveCopy(both || at == s.m)
}

// leaveCopy does with the former mirror's copy what was asked for.
func (s *situation) leaveCopy(there bool) {
	db := s.o.Database
	switch {
	case there && s.o.Copy == CopyRecover:
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Open the copy", Unless: fill(queryState, db, "ONLINE"), Text: fill(formRecover, db),
			Why: "From now on two databases of one name go their own ways: tell the proxy which is the store."},
			Step{On: s.m, Kind: Wait, Title: "It is open", Text: fill(queryState, db, "ONLINE"), Within: s.o.Patience,
				Refusal: &Refusal{Message: "the copy does not open", Advice: "see the server's error log"}})
	case there && s.o.Copy == CopyDrop:
		s.plan.add(Step{On: s.m, Kind: Do, Title: "Drop the copy", Text: fill(formDrop, db)})
	default:
		s.plan.After = append(s.plan.After, "The copy on "+string(s.m)+" is left RESTORING. Open it with: "+fill(formRecover, db)+
			"  or drop it with: "+fill(formDrop, db)+"  or mirror again from it: pair setup --restored, after a log backup from "+string(s.p)+" restored there WITH NORECOVERY.")
	}
	s.plan.After = append(s.plan.After, "Endpoints, certificates and logins are left: other databases may use them.")
}

func (s *situation) mirroringSetup() {
	db := s.o.Database
	s.readyPrincipal()
	s.must(s.p, "It is not mirrored yet", isUnmirrored, alreadyMirrored, "the database has a session already")
	s.secure()
	s.fullRecovery()
	s.readLogins()
	if !s.o.Restored {
		s.copyDatabase()
	}
	s.plan.add(Step{On: s.m, Kind: Check, Title: "The copy is there, and closed", Text: fill(queryState, db, "RESTORING"),
		Refusal: refuse(notRestoring, "the copy is not RESTORING")})
	undo := []Step{{On: s.m, Kind: Do, Title: "Take the mirror's half back, or a second try meets 1405", Text: fill(formOff, db), Ignore: []int32{1416}}}
	synchronized := s.until(s.p, "The mirror has caught up", isSynchronized, 30*s.o.Patience)
	connected := s.until(s.p, "The session has begun", isPrincipal+" AND "+isConnected, s.o.Patience)
	s.plan.add(
		Step{On: s.m, Kind: Do, Title: "First the mirror learns who its principal is; this contacts nobody", Text: fill(formPartner, db, "TCP://"+s.o.Endpoint[s.p.index()])},
		Step{On: s.p, Kind: Do, Title: "Then the principal calls its mirror, and the session begins", Text: fill(formPartner, db, "TCP://"+s.o.Endpoint[s.m.index()]),
			Again: transient, Undo: undo, Shows: &connected,
			Why: "1418 here is as often a missing certificate or GRANT CONNECT as a closed port: look into both error logs. It can return without error and fail later: the next step looks."},
		connected, synchronized,
		Step{On: s.p, Kind: Do, Title: "SAFETY " + s.o.Safety, Unless: s.is(`m.mirroring_safety_level_desc = ` + text(s.o.Safety)), Text: fill(formSafety, db, s.o.Safety)})
	if s.o.Witness != "" {
		if !s.o.WitnessReached {
			s.plan.After = append(s.plan.After, "The witness was not asked: its endpoint must be STARTED with ROLE WITNESS or ALL, and let both partners in.")
		}
		s.plan.add(Step{On: s.p, Kind: Do, Title: "The witness, which lets the mirror take over by itself", Unless: s.is(`m.mirroring_witness_name = ` + text("TCP://"+s.o.Witness)),
			Text: fill(formWitness, db, "TCP://"+s.o.Witness), Again: []int32{1404, 1426},
			Why: "With a witness a principal that sees neither mirror nor witness closes its database (955)."},
			s.until(s.p, "The witness is connected", witnessIsThere, s.o.Patience))
	}
	s.plan.add(s.until(s.m, "The mirror says so too", isCatchingUp, s.o.Patience))
	s.makeLogins()
	s.plan.After = append(s.plan.After,
		"Jobs are not mirrored: make the log backup job on both servers, and every other one that uses the database.")
}

// readyPrincipal checks that the database can be mirrored or grouped at all.
func (s *situation) readyPrincipal() {
	db := s.o.Database
	one := func(title, condition string, r *Refusal) {
		s.plan.add(Step{On: s.p, Kind: Check, Title: title, Text: fill(`SELECT 1 AS yes FROM sys.databases WHERE name = %N AND %s`, db, condition), Refusal: r})
	}
	one("The database is there, and open", `state_desc = N'ONLINE'`, refuse(911, "the database is not there, or not ONLINE"))
	one("Many may use it", `user_access_desc = N'MULTI_USER'`, refuse(notMultiUser, "the database is not MULTI_USER"))
	one("It may be written", `is_read_only = 0`, refuse(readOnly, "the database is READ_ONLY"))
	one("It does not close by itself", `is_auto_close_on = 0`, refuse(autoClose, "AUTO_CLOSE is ON"))
	one("It is in no availability group", `replica_id IS NULL`, &Refusal{Message: "the database is in an availability group", Advice: "remove it from the group first: pair remove --topology availability-group"})
	for _, t := range s.o.Tables {
		s.plan.add(Step{On: s.p, Kind: Check, Title: "Its tables are in the database itself",
			Text:    fill(`SELECT 1 AS yes FROM sys.databases WHERE name = %N AND OBJECT_ID(%N) IS NOT NULL`, db, name(db)+".dbo."+name(t)),
			Refusal: &Refusal{Message: "the database has no table " + t, Advice: "it was installed with its tables in tempdb, which can't be mirrored (aspnet_regsql -sstype t), or not at all: run mirrorstate install"}})
	}
}
