package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// expiryJob looks for the SQL Server Agent job on both servers, which may run besides our own sweeper.
func (e *exam) expiryJob() {
	for i, s := range e.Sides {
		a := s.Answers[askJobs]
		if !s.reached() {
			e.unchecked(s.Name, cantAsk, "")
			continue
		}
		if a.Err != nil {
			e.unchecked(s.Name, "the Agent jobs can't be read: "+why(a.Err), "To check them, grant the login SELECT on msdb.dbo.sysjobs and sysjobsteps on both servers; a job and mirrorstate's sweep may run together")
			continue
		}
		job, enabled := e.job(a.Rows)
		principal := i == e.here
		switch {
		case job == "" && e.Setup.SweepEnabled:
			e.ok(s.Name, "no Agent job deletes expired sessions; mirrorstate sweeps")
		case job == "":
			e.add(s.Name, Fail, "no Agent job deletes expired sessions here, and sweep.enabled is false: the table grows", "Set sweep.enabled: true", "")
		case !enabled && e.Setup.SweepEnabled:
			e.ok(s.Name, "the Agent job "+job+" is disabled; mirrorstate sweeps")
		case !e.Setup.SweepEnabled && enabled:
			e.ok(s.Name, "the Agent job "+job+" deletes expired sessions (sweep.enabled is false); while this server is the mirror, the job fails every minute")
		case e.Setup.AgentJob == "yield" && principal && enabled:
			e.ok(s.Name, "the Agent job "+job+" sweeps here, and mirrorstate yields to it")
		case !principal && enabled:
			e.add(s.Name, Warn, "the Agent job "+job+" is enabled on the mirror: it fails every minute (954) and fills the job history", "Disable it: mirrorstate sweeps on the principal, whichever server that is",
				"EXEC msdb.dbo.sp_update_job @job_name = "+literal(job)+", @enabled = 0")
		default:
			e.add(s.Name, Warn, "the Agent job "+job+" and mirrorstate both sweep: the data is safe, but the job's locks delay calls, and after a failover it does not run on the new principal", "Disable it, or set sweep.agent_job: yield",
				"EXEC msdb.dbo.sp_update_job @job_name = "+literal(job)+", @enabled = 0")
		}
	}
}

// job returns the name of the job that sweeps this database; empty: there is none.
func (e *exam) job(rows []operate.Row) (name string, enabled bool) {
	for _, r := range rows {
		if strings.EqualFold(r["database_name"], e.Database) || strings.Contains(strings.ToLower(r["command"]), strings.ToLower(e.Database)) {
			name, enabled = r["name"], enabled || r["enabled"] == "1"
		}
	}
	return name, enabled
}

// The use of the log, in percent, from which it is a warning and a failure.
const (
	logHigh = 70
	logFull = 90
)

func (e *exam) logSpace() {
	s := e.serving()
	if s == nil {
		return
	}
	row := s.one(askLog)
	used, err := strconv.ParseFloat(row["used_log_space_in_percent"], 64)
	wait := s.Found.Database.LogWaits
	waits := ""
	if wait != "NOTHING" && wait != "" {
		waits = "; it can't be reused because of " + wait
	}
	mend := "Back up the log now and every few minutes; if the log waits for DATABASE_MIRRORING or AVAILABILITY_REPLICA, first start the other partner or resume"
	command := "BACKUP LOG " + bracket(e.Database) + " TO DISK = N'…'"
	switch {
	case row == nil || err != nil:
		e.unchecked(s.Name, "the use of the log can't be read: "+why(firstError(s.Answers[askLog].Err, errNoCounter))+waits, "If the login does not have the right: GRANT VIEW SERVER STATE")
	case used >= logFull:
		e.add(s.Name, Fail, fmt.Sprintf("%.0f %% of the log is used%s: when the log is full, every write fails (9002)", used, waits), mend, command)
	case used >= logHigh:
		e.add(s.Name, Warn, fmt.Sprintf("%.0f %% of the log is used%s", used, waits), mend, command)
	default:
		e.ok(s.Name, fmt.Sprintf("%.0f %% of the log is used%s", used, waits))
	}
}

// stale is the maximum age of a log backup.
const stale = 24 * time.Hour

// logBackups checks both servers, because backup jobs don't fail over. A server that was never principal needs no backup.
func (e *exam) logBackups() {
	for i, s := range e.Sides {
		a := s.Answers[askBackups]
		principal := i == e.here
		mend := "Create a job on both servers that backs up the log every few minutes while the database is the principal; with FULL recovery only a log backup truncates it"
		command := "BACKUP LOG " + bracket(e.Database) + " TO DISK = N'…'"
		row := s.one(askBackups)
		last, err := time.Parse(time.RFC3339Nano, row["backup_finish_date"])
		now, err2 := time.Parse(time.RFC3339Nano, row["server_now"])
		switch {
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		case s.Found.Database == nil:
			e.unchecked(s.Name, noDatabaseHere, "")
		case a.Err != nil:
			e.unchecked(s.Name, "the backup history (msdb) can't be read: "+why(a.Err), "Grant the login SELECT on msdb.dbo.backupset on both servers, or run doctor with a login that is sysadmin")
		case len(a.Rows) == 0 && principal:
			e.add(s.Name, Warn, "no log backup of "+e.Database+" was ever taken here: the log grows without limit", mend, command)
		case len(a.Rows) == 0:
			e.ok(s.Name, "no log backup was taken here; this is not the principal, and needs one only after a failover")
		case err != nil || err2 != nil:
			e.unchecked(s.Name, "the time of the last log backup can't be read", "")
		case principal && now.Sub(last) > stale:
			e.add(s.Name, Warn, fmt.Sprintf("the last log backup is %.0f hours old: its job may exist on the other server only", now.Sub(last).Hours()), mend, command)
		case principal:
			e.ok(s.Name, "the last log backup is "+ago(now.Sub(last)))
		default:
			e.ok(s.Name, "the last log backup here is "+ago(now.Sub(last))+", and this is not the principal")
		}
	}
}

func ago(d time.Duration) string {
	if d < time.Hour {
		return "less than an hour old"
	}
	return fmt.Sprintf("%.0f hours old", d.Hours())
}

// holdWindow compares the hold window with the minimum duration of an automatic failover.
func (e *exam) holdWindow() {
	s := e.sideWithState()
	window := e.Setup.HoldWindow
	if s == nil {
		e.unchecked("", fmt.Sprintf("pair.hold.window is %v; this login may not see the partner timeout", window), "")
		return
	}
	if err := s.Answers[askTimeout].Err; err != nil {
		e.unchecked(s.Name, fmt.Sprintf("pair.hold.window is %v; the partner timeout can't be read: %s", window, why(err)), s.letSee(err, viewAnyDefinition))
		return
	}
	seconds, err := strconv.Atoi(s.one(askTimeout)["mirroring_connection_timeout"])
	timeout := time.Duration(seconds) * time.Second
	switch {
	case err != nil:
		e.ok("", fmt.Sprintf("pair.hold.window is %v", window))
	case window < timeout+takeover:
		e.add("", Fail, fmt.Sprintf("pair.hold.window (%v) ends before an automatic failover can: the partner timeout alone is %v", window, timeout), fmt.Sprintf("Set pair.hold.window to %v or more", timeout+takeover), "")
	case seconds < 10:
		e.add("", Warn, fmt.Sprintf("the partner timeout is %v: below 10 s a failover can happen although the principal is only busy", timeout), "Set 10 s, on the principal", "ALTER DATABASE "+bracket(e.Database)+" SET PARTNER TIMEOUT 10")
	default:
		e.ok("", fmt.Sprintf("pair.hold.window (%v) is longer than the partner timeout (%v) and a failover", window, timeout))
	}
}

// takeover is the estimated duration of a failover after the decision: redo, and the first answer.
const takeover = 10 * time.Second

// clientTimeouts compares the timeouts of clients and balancers with the longest time until an answer.
func (e *exam) clientTimeouts() {
	const spare = 5 * time.Second // a request's deadline is the hold window plus this
	longest := e.Setup.HoldWindow + spare
	known := false
	for _, c := range []struct {
		what, mend, attribute string
		timeout               time.Duration
	}{
		{"the client's timeout (--client-timeout)", "Set the client's timeout to", "", e.Setup.ClientTimeout},
		{"the balancer's response timeout (--balancer-timeout)", "Set the balancer's response timeout to", "", e.Setup.BalancerTimeout},
		{"stateNetworkTimeout in the web.config", "Set stateNetworkTimeout to", "stateNetworkTimeout", e.Setup.StateNetworkTimeout},
	} {
		if c.timeout == 0 {
			continue
		}
		known = true
		if c.timeout > 0 && c.timeout < longest {
			e.add("", Fail, fmt.Sprintf("%s is %v, but an answer may take %v in a failover: the call is given up before its answer", c.what, c.timeout, longest), fmt.Sprintf("%s at least %v, or shorten pair.hold.window", c.mend, longest), inSeconds(c.attribute, longest))
			continue
		}
		e.ok("", fmt.Sprintf("%s is %v; an answer takes at most %v", c.what, c.timeout, longest))
	}
	e.dotNet()
	if !known && !e.Setup.DotNet {
		e.unchecked("", fmt.Sprintf("an answer may take %v in a failover; the timeouts of clients and balancer are not given", longest), "Give them, for example: doctor --client-timeout 60s --balancer-timeout 60s")
	}
}

// inSeconds returns a timeout as an attribute of <sessionState>, in whole seconds; empty without a name.
func inSeconds(attribute string, d time.Duration) string {
	if attribute == "" {
		return ""
	}
	return fmt.Sprintf(`%s="%d"`, attribute, (d+time.Second-1)/time.Second)
}

// retryAdvice is the longest retry interval that ASP.NET can use: it reads only the seconds part of the interval, which is
// 0 for 60 seconds.
var retryAdvice = inSeconds("sqlConnectionRetryInterval", 59*time.Second)

// dotNet judges a web.config in mode SQLServer: that application calls the database directly, without mirrorstate.
func (e *exam) dotNet() {
	retry := e.Setup.RetryInterval
	switch {
	case !e.Setup.DotNet:
	case retry == 0:
		e.add("", Warn, "sqlConnectionRetryInterval is not set in the web.config: in a failover that application does not retry after an error", "Set it to 59 seconds, or configure the application to use mirrorstate", retryAdvice)
	case retry%time.Minute == 0:
		e.add("", Fail, fmt.Sprintf("sqlConnectionRetryInterval is %.0f, which is %v: ASP.NET reads only the seconds part, which is 0, and does not retry", retry.Seconds(), retry), "Set it to 59, or to another number of seconds that is not a multiple of 60", retryAdvice)
	default:
		e.ok("", fmt.Sprintf("sqlConnectionRetryInterval is %.0f s", retry.Seconds()))
	}
}

func (e *exam) watchdog() {
	s := e.sideWithState()
	switch {
	case !e.Setup.WatchdogEnabled:
		e.ok("", "the watchdog is off: a witness, a cluster or an operator decides about failovers")
	case s != nil && s.mirror() != nil && s.Found.Mirroring.Witness != "":
		e.add("", Warn, "the watchdog is on, but the pair has a witness: SQL Server decides, and the watchdog does nothing", "Set pair.watchdog.enabled: false", "")
	case s != nil && s.Found.Group != nil && s.Found.Group.Cluster != "NONE":
		e.add("", Warn, "the watchdog is on, but the group has a cluster, which decides", "Set pair.watchdog.enabled: false", "")
	case e.Setup.WatchdogNoGuards:
		e.add("", Warn, "the watchdog is on without observers: it does not force service unless pair.watchdog.allow_data_loss is true", "Name the operators' listeners of the other proxies in pair.watchdog.observers", "")
	default:
		for _, side := range e.Sides {
			if side.reached() && !side.sysadmin() {
				e.add(side.Name, Fail, "the watchdog is on, but the login is not a sysadmin here: on a mirror it can't see that the principal is gone, and may not force service", "Use a login that is sysadmin on both servers, or set pair.watchdog.enabled: false", "")
				return
			}
		}
		e.ok("", "the watchdog is on; its login sees the mirror's state and may force service")
	}
}
