// Package doctor checks a configured pair of SQL Servers from end to end, and lists what to fix, in the order to
// fix it. It changes nothing on the servers: every statement it sends is in queries.go and only reads. Each wait has
// a deadline, so a server that accepts a connection and never answers costs one login timeout.
//
// Asking and judging are separate. Examine asks both servers at the same time, and keeps each answer or the reason
// why there is none. Diagnose is a pure function of these facts. What the login may not see is reported as
// unknown: a NULL never counts as a no.
//
// It does not run a failover, write a row, read the servers' files or error logs, or ask the witness.
package doctor

import (
	"cmp"
	"slices"
	"strings"
)

// Level is the severity of a finding.
type Level string

// The levels, in the order in which they are shown.
const (
	Fail      Level = "fail"        // does not work, or will not work when needed
	Warn      Level = "warn"        // works, but can be better or safer
	Unchecked Level = "not-checked" // could not be checked; Found says why
	OK        Level = "ok"
)

var levels = []Level{Fail, Warn, Unchecked, OK}

// Finding is the result of one check, on one server or for the pair.
type Finding struct {
	Check   string `json:"check"`        // a stable short name, such as "recovery-model"
	On      string `json:"on,omitempty"` // a or b; empty: the pair, or the configuration
	Level   Level  `json:"level"`
	Found   string `json:"found"`             // one sentence without its full stop
	Mend    string `json:"mend,omitempty"`    // one sentence: what to do; empty for OK
	Command string `json:"command,omitempty"` // the command or statement that does it; empty: none
	rank    int
}

// Report is the result of all checks. Findings are in the order to fix them: failures before warnings. Within a level, a
// check comes before the checks that depend on it.
type Report struct {
	Database string    `json:"database"`
	Topology string    `json:"topology"` // mirroring, availability-group, or empty: unknown or no pair
	Servers  [2]string `json:"servers"`
	Findings []Finding `json:"findings"`
}

// Count returns the number of findings of a level.
func (r *Report) Count(level Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// checks are all checks, in the order to fix their findings: a check comes after those it depends on.
var checks = []struct {
	name  string
	judge func(*exam)
}{
	{"configuration", (*exam).configuration},
	{"reachable", (*exam).reachable},
	{"encryption", (*exam).encryption},
	{"login", (*exam).login},
	{"same-sid", (*exam).sameSID},
	{"servers", (*exam).servers},
	{"database", (*exam).database},
	{"role-view", (*exam).roleView},
	{"principal", (*exam).principal},
	{"recovery-model", (*exam).recoveryModel},
	{"schema", (*exam).schema}, // before the pair is set up: a tempdb-type install can't be mirrored
	{"epoch", (*exam).epoch},
	{"endpoint", (*exam).endpoint},
	{"mirroring", (*exam).mirroring},
	{"group", (*exam).group},
	{"safety", (*exam).safety},
	{"unsent-log", (*exam).unsentLog},
	{"witness", (*exam).witness},
	{"failover-partner", (*exam).failoverPartner},
	{"rights", (*exam).rights},
	{"users", (*exam).users},
	{"applications", (*exam).applications},
	{"clocks", (*exam).clocks},
	{"expiry-job", (*exam).expiryJob},
	{"log-space", (*exam).logSpace},
	{"log-backups", (*exam).logBackups},
	{"hold-window", (*exam).holdWindow},
	{"client-timeouts", (*exam).clientTimeouts},
	{"watchdog", (*exam).watchdog},
}

// Diagnose judges the facts.
func Diagnose(f *Facts) *Report {
	e := &exam{Facts: f}
	e.findTopology()
	for i, c := range checks {
		e.check, e.rank = c.name, i
		c.judge(e)
	}
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.rank, b.rank))
	})
	return &Report{Database: f.Database, Topology: e.topology, Servers: [2]string{f.Sides[0].Address, f.Sides[1].Address}, Findings: e.findings}
}

// exam is a running Diagnose.
type exam struct {
	*Facts
	check    string // the running check
	rank     int
	findings []Finding

	topology string
	here     int // index of the only side that serves as principal; -1: none or both
}

func (e *exam) add(on string, level Level, found, mend, command string) {
	e.findings = append(e.findings, Finding{Check: e.check, On: on, Level: level, Found: found, Mend: mend, Command: command, rank: e.rank})
}

func (e *exam) ok(on, found string) { e.add(on, OK, found, "", "") }

// unchecked adds a finding for what could not be checked: why, and what makes the check possible.
func (e *exam) unchecked(on, why, mend string) { e.add(on, Unchecked, why, mend, "") }

// command returns a mirrorstate command with the flags that name this pair. The verbs of "pair" that would ask a running
// server get --direct: there may be no server, or its login may not have the rights.
func (e *exam) command(words string) string {
	direct := ""
	if verb, ok := strings.CutPrefix(words, "pair "); ok && verb != "setup" && verb != "remove" && !strings.HasPrefix(verb, "accept") && strings.HasPrefix(e.Setup.How, "--config ") {
		direct = " --direct"
	}
	return strings.TrimSpace("mirrorstate " + words + " " + e.Setup.How + direct)
}
