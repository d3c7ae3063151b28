package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// expiryJob looks for SQL Agent's job on both servers, beside our own sweeper.
func (e *exam) expiryJob() {
	for i, s := range e.Sides {
		a := s.Answers[askJobs]
		if !s.reached() {
			e.unchecked(s.Name, cantAsk, "")
			continue
		}
		if a.Err != nil {
			e.unchecked(s.Name, "SQL Agent's jobs can't be read: "+why(a.Err), "To see it, let the login SELECT from msdb.dbo.sysjobs and sysjobsteps on both servers; mirrorstate sweeps beside whatever is there, which does no harm")
			continue
		}
		job, enabled := e.job(a.Rows)
		principal := i == e.here
		switch {
		case job == "" && e.Setup.SweepEnabled:
			e.ok(s.Name, "no Agent job deletes expired sessions: mirrorstate does")
		case job == "":
			e.add(s.Name, Fail, "no Agent job deletes expired sessions here, and sweep.enabled is false: the table grows", "Say sweep.enabled: true", "")
		case !enabled && e.Setup.SweepEnabled:
			e.ok(s.Name, "the Agent job "+job+" is there, and disabled: mirrorstate sweeps")
		case !e.Setup.SweepEnabled && enabled:
			e.ok(s.Name, "the Agent job "+job+" deletes expired sessions (sweep.enabled is false); it fails each minute where this server is the mirror")
		case e.Setup.AgentJob == "yield" && principal && enabled:
			e.ok(s.Name, "the Agent job "+job+" sweeps here, and mirrorstate yields to it")
		case !principal && enabled:
			e.add(s.Name, Warn, "the Agent job "+job+" is enabled here, where this is the mirror: it fails every minute (954) and fills the job history", "Disable it: mirrorstate sweeps on the principal, wherever that is",
				"EXEC msdb.dbo.sp_update_job @job_name = "+literal(job)+", @enabled = 0")
		default:
			e.add(s.Name, Warn, "the Agent job "+job+" sweeps beside mirrorstate: no harm to the data, and locks that live calls meet; it stays behind at a failover", "Disable it, or say sweep.agent_job: yield",
				"EXEC msdb.dbo.sp_update_job @job_name = "+literal(job)+", @enabled = 0")
		}
	}
}

// job is the one that sweeps this database; empty: there is none.
func (e *exam) job(rows []operate.Row) (name string, enabled bool) {
	for _, r := range rows {
		if strings.EqualFold(r["database_name"], e.Database) || strings.Contains(strings.ToLower(r["command"]), strings.ToLower(e.Database)) {
			name, enabled = r["name"], enabled || r["enabled"] == "1"
		}
	}
	return name, enabled
}

// The marks at which a log is worth a word, and an alarm, in percent.
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
	mend := "Back the log up now and every few minutes; if the wait is DATABASE_MIRRORING or AVAILABILITY_REPLICA, bring the other partner back or resume it first"
	command := "BACKUP LOG " + bracket(e.Database) + " TO DISK = N'…'"
	switch {
	case row == nil || err != nil:
		e.unchecked(s.Name, "the log's use can't be read: "+why(firstError(s.Answers[askLog].Err, errNoCounter))+waits, "For a login without it: GRANT VIEW SERVER STATE")
	case used >= logFull:
		e.add(s.Name, Fail, fmt.Sprintf("%.0f %% of the log are used%s: when it is full every write fails (9002)", used, waits), mend, command)
	case used >= logHigh:
		e.add(s.Name, Warn, fmt.Sprintf("%.0f %% of the log are used%s", used, waits), mend, command)
	default:
		e.ok(s.Name, fmt.Sprintf("%.0f %% of the log are used%s", used, waits))
	}
}

// stale is how old a log backup may be.
const stale = 24 * time.Hour

// logBackups looks on both servers: backup jobs don't fail over. Who was never principal needs none.
func (e *exam) logBackups() {
	for i, s := range e.Sides {
		a := s.Answers[askBackups]
		principal := i == e.here
		mend := "Have a job on both servers back the log up every few minutes, where the database is the principal's; with FULL recovery nothing else ever empties it"
		command := "BACKUP LOG " + bracket(e.Database) + " TO DISK = N'…'"
		row := s.one(askBackups)
		last, err := time.Parse(time.RFC3339Nano, row["backup_finish_date"])
		now, err2 := time.Parse(time.RFC3339Nano, row["server_now"])
		switch {
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		case s.Found.Database == nil:
			e.unchecked(s.Name, "there is no database to look at", "")
		case a.Err != nil:
			e.unchecked(s.Name, "the memory of backups (msdb) can't be read: "+why(a.Err), "Let the login SELECT from msdb.dbo.backupset on both servers, or run doctor with a login that is sysadmin")
		case len(a.Rows) == 0 && principal:
			e.add(s.Name, Warn, "no log backup of "+e.Database+" was ever taken here: the log grows without end", mend, command)
		case len(a.Rows) == 0:
			e.ok(s.Name, "no log backup was taken here, where this is not the principal; after a failover one must be")
		case err != nil || err2 != nil:
			e.unchecked(s.Name, "the last log backup's time can't be read", "")
		case principal && now.Sub(last) > stale:
			e.add(s.Name, Warn, fmt.Sprintf("the last log backup is %.0f hours old: its job may have stayed behind on the other server", now.Sub(last).Hours()), mend, command)
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

// holdWindow compares the window with the time that a failover by itself takes at least.
func (e *exam) holdWindow() {
	s := e.shower()
	window := e.Setup.HoldWindow
	if s == nil {
		e.unchecked("", fmt.Sprintf("pair.hold.window is %v; the partner time-out is not shown", window), "")
		return
	}
	if err := s.Answers[askTimeout].Err; err != nil {
		e.unchecked(s.Name, fmt.Sprintf("pair.hold.window is %v; the partner time-out can't be read: %s", window, why(err)), s.letSee(err, viewAnyDefinition))
		return
	}
	seconds, err := strconv.Atoi(s.one(askTimeout)["mirroring_connection_timeout"])
	timeout := time.Duration(seconds) * time.Second
	switch {
	case err != nil:
		e.ok("", fmt.Sprintf("pair.hold.window is %v", window))
	case window < timeout+takeover:
		e.add("", Fail, fmt.Sprintf("pair.hold.window (%v) ends before a failover after a silent failure can: the partner time-out alone is %v", window, timeout), fmt.Sprintf("Set pair.hold.window to %v or more", timeout+takeover), "")
	case seconds < 10:
		e.add("", Warn, fmt.Sprintf("the partner time-out is %v: below 10 s a busy server may be taken for a dead one", timeout), "Set 10 s, on the principal", "ALTER DATABASE "+bracket(e.Database)+" SET PARTNER TIMEOUT 10")
	default:
		e.ok("", fmt.Sprintf("pair.hold.window (%v) is longer than the partner time-out (%v) and a failover", window, timeout))
	}
}

// takeover is what a failover takes after it was decided, at a guess: redo, and the first answer.
const takeover = 10 * time.Second

// clientTimeouts compares those of clients and balancers with the longest answer.
func (e *exam) clientTimeouts() {
	const spare = 5 * time.Second // on top of the window, as a request's deadline is
	longest := e.Setup.HoldWindow + spare
	said := false
	for _, c := range []struct {
		what, mend, attribute string
		timeout               time.Duration
	}{
		{"the client's time-out (--client-timeout)", "Give the client", "", e.Setup.ClientTimeout},
		{"the balancer's response time-out (--balancer-timeout)", "Give the balancer", "", e.Setup.BalancerTimeout},
		{"stateNetworkTimeout in the web.config", "Set stateNetworkTimeout to", "stateNetworkTimeout", e.Setup.StateNetworkTimeout},
	} {
		if c.timeout == 0 {
			continue
		}
		said = true
		if c.timeout > 0 && c.timeout < longest {
			e.add("", Fail, fmt.Sprintf("%s is %v, and a call may be held for %v: in a failover it gives up before the answer", c.what, c.timeout, longest), fmt.Sprintf("%s at least %v, or shorten pair.hold.window", c.mend, longest), inSeconds(c.attribute, longest))
			continue
		}
		e.ok("", fmt.Sprintf("%s is %v, longer than the longest answer (%v)", c.what, c.timeout, longest))
	}
	e.dotNet()
	if !said && !e.Setup.DotNet {
		e.unchecked("", fmt.Sprintf("a call may take %v in a failover, and nobody said how long clients and the balancer wait", longest), "Compare it with theirs: doctor --client-timeout 60s --balancer-timeout 60s")
	}
}

// inSeconds writes a time-out as <sessionState> takes it: in whole seconds. Without a name it is nothing.
func inSeconds(attribute string, d time.Duration) string {
	if attribute == "" {
		return ""
	}
	return fmt.Sprintf(`%s="%d"`, attribute, (d+time.Second-1)/time.Second)
}

// retryAdvice is the most that ASP.NET retries for: it looks at the seconds of the interval only, and those of 60 are 0.
var retryAdvice = inSeconds("sqlConnectionRetryInterval", 59*time.Second)

// dotNet judges a web.config in mode SQLServer, whose application goes past us to the database.
func (e *exam) dotNet() {
	retry := e.Setup.RetryInterval
	switch {
	case !e.Setup.DotNet:
	case retry == 0:
		e.add("", Warn, "sqlConnectionRetryInterval is not set in the web.config: that application gives up at the first error of a failover", "Set it to 59, in seconds, or have the application use mirrorstate", retryAdvice)
	case retry%time.Minute == 0:
		e.add("", Fail, fmt.Sprintf("sqlConnectionRetryInterval is %.0f, which is %v: ASP.NET looks at its seconds only, which are 0, and does not retry at all", retry.Seconds(), retry), "Set it to 59, or to another number of seconds that is no multiple of 60", retryAdvice)
	default:
		e.ok("", fmt.Sprintf("sqlConnectionRetryInterval is %.0f s", retry.Seconds()))
	}
}

func (e *exam) watchdog() {
	s := e.shower()
	switch {
	case !e.Setup.WatchdogEnabled:
		e.ok("", "off: a witness, a cluster or an operator decides about failovers")
	case s != nil && s.mirror() != nil && s.Found.Mirroring.Witness != "":
		e.add("", Warn, "it is on, and the pair has a witness: SQL Server decides, and the watchdog does nothing", "Say pair.watchdog.enabled: false", "")
	case s != nil && s.Found.Group != nil && s.Found.Group.Cluster != "NONE":
		e.add("", Warn, "it is on, and the group has a cluster, which decides", "Say pair.watchdog.enabled: false", "")
	case e.Setup.WatchdogNoGuards:
		e.add("", Warn, "it is on without observers: it will not force service unless pair.watchdog.allow_data_loss is true", "Name the other proxies' operators' listeners in pair.watchdog.observers", "")
	default:
		for _, side := range e.Sides {
			if side.reached() && !side.sysadmin() {
				e.add(side.Name, Fail, "it is on, and the login is no sysadmin here: on a mirror it neither sees that the principal is gone nor may force service", "Use a login that is sysadmin on both servers, or say pair.watchdog.enabled: false", "")
				return
			}
		}
		e.ok("", "on, with a login that sees the mirror's state and may force service")
	}
}
