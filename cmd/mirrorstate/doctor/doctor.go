// Package doctor examines a configured pair of SQL Servers from end to end, and says what to mend, in the order to
// mend it. It changes nothing on the servers: every statement it sends is in queries.go, and reads. Each wait has
// a deadline, so that a server that accepts and stays silent costs one login time-out and no more.
//
// It keeps asking and judging apart. Examine asks both servers, at the same time, and keeps each answer or the reason
// why there is none. Diagnose is a pure function of what was learned. What a login may not see is unknown and
// said to be: a NULL is never taken for a no.
//
// What it does not do: run a failover, write a row, look at the servers' files or error logs, or ask the witness.
package doctor

import (
	"cmp"
	"slices"
	"strings"
)

// Level is how a finding stands.
type Level string

// The levels, in the order in which they are shown.
const (
	Fail      Level = "fail"        // it does not work, or will not when it is needed
	Warn      Level = "warn"        // it works, and can be better or safer
	Unchecked Level = "not-checked" // it could not be found out; Found says why
	OK        Level = "ok"
)

var levels = []Level{Fail, Warn, Unchecked, OK}

// Finding is what was found out about one thing.
type Finding struct {
	Check   string `json:"check"`        // a short name that stays, such as "recovery-model"
	On      string `json:"on,omitempty"` // a or b; empty: the pair, or the configuration
	Level   Level  `json:"level"`
	Found   string `json:"found"`             // one sentence without its full stop
	Mend    string `json:"mend,omitempty"`    // one sentence: what to do; empty for OK
	Command string `json:"command,omitempty"` // the very command or statement; empty: there is none
	rank    int
}

// Report is a whole examination. Findings are in the order to mend them: fails before warnings, and among those
// what others rest on first.
type Report struct {
	Database string    `json:"database"`
	Topology string    `json:"topology"` // mirroring, availability-group, or empty: unknown or none
	Servers  [2]string `json:"servers"`
	Findings []Finding `json:"findings"`
}

// Count is how many findings are of a level.
func (r *Report) Count(level Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// checks are all there are, in the order to mend them: nothing stands before what it rests on.
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

// Diagnose judges what was learned.
func Diagnose(f *Facts) *Report {
	e := &exam{Facts: f}
	e.look()
	for i, c := range checks {
		e.check, e.rank = c.name, i
		c.judge(e)
	}
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.rank, b.rank))
	})
	return &Report{Database: f.Database, Topology: e.topology, Servers: [2]string{f.Sides[0].Address, f.Sides[1].Address}, Findings: e.findings}
}

// exam is an examination under way.
type exam struct {
	*Facts
	check    string // the one that judges now
	rank     int
	findings []Finding

	topology string
	here     int // the side whose database opens for writes, or that says it is principal; -1: none, or both do
}

func (e *exam) add(on string, level Level, found, mend, command string) {
	e.findings = append(e.findings, Finding{Check: e.check, On: on, Level: level, Found: found, Mend: mend, Command: command, rank: e.rank})
}

func (e *exam) ok(on, found string) { e.add(on, OK, found, "", "") }

// unchecked notes what could not be found out, and what lets it be.
func (e *exam) unchecked(on, why, mend string) { e.add(on, Unchecked, why, mend, "") }

// command is one of ours, with the flags that name this pair. Of the pair's verbs those that would ask a running server are
// told not to: there may be none, and its login may not do it.
func (e *exam) command(words string) string {
	direct := ""
	if verb, ok := strings.CutPrefix(words, "pair "); ok && verb != "setup" && verb != "remove" && !strings.HasPrefix(verb, "accept") && strings.HasPrefix(e.Setup.How, "--config ") {
		direct = " --direct"
	}
	return strings.TrimSpace("mirrorstate " + words + " " + e.Setup.How + direct)
}
