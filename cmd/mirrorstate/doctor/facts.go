package doctor

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Right is a right on an object of the database: EXECUTE on dbo.TempGetStateItem3.
type Right struct{ Permission, Object string }

// Setup is what the configuration says, as far as it can be right or wrong beside the servers.
type Setup struct {
	How          string // the flags that name this pair to a command of ours, without secrets
	Notes        []string
	Host         [2]string // of each server
	Instance     [2]string // its name, upper case; empty: the default one
	Port         [2]int    // 0: the default
	Encrypt      [2]string // strict, true, false or disable
	Trusting     [2]bool   // any certificate is taken
	Applications []string  // configured names

	HoldWindow       time.Duration
	SweepEnabled     bool
	MaxClockSkew     time.Duration
	AgentJob         string // beside or yield
	WatchdogEnabled  bool
	WatchdogNoGuards bool // without observers, data loss not accepted

	ClientTimeout, BalancerTimeout time.Duration // 0: nobody said
	StateNetworkTimeout            time.Duration // of a web.config in mode StateServer; 0: no such web.config
	RetryInterval                  time.Duration // sqlConnectionRetryInterval of one in mode SQLServer
	DotNet                         bool          // a web.config in mode SQLServer is looked at
}

// Answer is what a server answered, or why not.
type Answer struct {
	Rows []operate.Row
	Err  error
}

// Side is what was learned of one partner.
type Side struct {
	Name     string // a or b
	Address  string
	Err      error // it can't be asked at all; nothing else is known then
	Found    *operate.Found
	Answers  map[question]Answer
	Schema   *aspstate.Found // nil: the database does not open here, or NoSchema
	NoSchema error           // why Schema is nil, where the database opens
	Rights   map[Right]bool  // those that the login has; nil: not asked

	Ahead time.Duration // its clock before ours, at the middle of the round trip
	Round time.Duration

	lost error // the connection broke, or a question was not answered in time: no other is asked
}

// Facts are all that was learned.
type Facts struct {
	Database string
	Setup    Setup
	Sides    [2]*Side
}

// The deadlines. A login has partner's own, 3 s.
const (
	queryTime = 5 * time.Second
	sideTime  = 40 * time.Second // everything on one server
)

// Examine asks both servers, and waits for both.
func Examine(ctx context.Context, parts [2]partner.PartnerConfig, database string, setup Setup) *Facts {
	f := &Facts{Database: database, Setup: setup}
	done := make(chan struct{}, len(parts))
	for i, pc := range parts {
		f.Sides[i] = &Side{Name: string(pc.Name), Address: pc.Shown(), Answers: map[question]Answer{}}
		go func() {
			defer func() { done <- struct{}{} }()
			asking, cancel := context.WithTimeoutCause(ctx, sideTime, fmt.Errorf("it took longer than %v to answer everything", sideTime))
			defer cancel()
			f.Sides[i].examine(asking, pc, database)
		}()
	}
	for range parts {
		<-done
	}
	return f
}

// examine asks one server everything.
func (s *Side) examine(ctx context.Context, pc partner.PartnerConfig, database string) {
	c, err := link.NewConsole(pc, partner.Budgets{})
	if err != nil {
		s.Err = err
		return
	}
	defer c.Close()
	s.Found = &operate.Found{}
	// The first round trip has the login in it: the clock is read again on the open connection.
	if first := s.ask(ctx, c, askClock, text(inMaster[askClock], database)); first.Err != nil {
		s.Err = first.Err
		return
	}
	s.readClock(ctx, c, database)
	for _, q := range slices.Sorted(maps.Keys(inMaster)) {
		if q != askClock {
			s.ask(ctx, c, q, text(inMaster[q], database))
		}
	}
	looking, cancel := context.WithTimeout(ctx, queryTime)
	s.Found = operate.LookPast(looking, operate.Side(s.Name), s.Address, c, database)
	cancel()
	if s.Found.Database == nil {
		return
	}
	s.examineDatabase(ctx, c, pc, database)
}

// readClock compares clocks, the best of three.
func (s *Side) readClock(ctx context.Context, c *link.Console, database string) {
	for range 3 {
		start := time.Now()
		a := s.ask(ctx, c, askClock, text(inMaster[askClock], database))
		round := time.Since(start)
		if a.Err != nil || len(a.Rows) != 1 || s.Round != 0 && round > s.Round {
			continue
		}
		if then, err := time.Parse(time.RFC3339Nano, a.Rows[0]["utc_now"]); err == nil {
			s.Round, s.Ahead = round, then.Sub(start.Add(round/2))
		}
	}
}

// examineDatabase asks what only a database that opens can tell; a mirror refuses the first question.
func (s *Side) examineDatabase(ctx context.Context, c *link.Console, pc partner.PartnerConfig, database string) {
	if a := s.ask(ctx, c, askTable, text(inDatabase[askTable], database)); closed(a.Err) {
		return
	}
	for _, q := range slices.Sorted(maps.Keys(inDatabase)) {
		if q != askTable && q != askRights {
			s.ask(ctx, c, q, text(inDatabase[q], database))
		}
	}
	looking, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	s.NoSchema = link.InMaster(looking, pc, func(conn *sql.Conn) error {
		found, err := aspstate.LookPast(looking, conn, database, "")
		if err == nil {
			s.Schema = &found
		}
		return err
	})
	if s.Schema == nil {
		return
	}
	wanted := rightsFor(s)
	a := s.ask(ctx, c, askRights, rightsText(database, wanted))
	if a.Err != nil || len(a.Rows) != 1 {
		return
	}
	s.Rights = map[Right]bool{}
	for i, r := range wanted {
		s.Rights[r] = a.Rows[0][fmt.Sprintf("r%d", i)] == "1"
	}
}

// rightsFor are those that a proxy wants on the schema that was seen.
func rightsFor(s *Side) (wanted []Right) {
	for _, r := range aspstate.ProxyRights(s.hasEpoch()) {
		wanted = append(wanted, Right{r[0], r[1]})
	}
	return wanted
}

// ask asks one question in its time, and keeps the answer.
func (s *Side) ask(ctx context.Context, c *link.Console, q question, statement string) Answer {
	if s.lost != nil {
		s.Answers[q] = Answer{Err: s.lost}
		return s.Answers[q]
	}
	ctx, cancel := context.WithTimeoutCause(ctx, queryTime, fmt.Errorf("no answer within %v", queryTime))
	defer cancel()
	rows, err := c.Query(ctx, statement)
	if err != nil && !answered(err) {
		s.lost = err // the rest would only wait for the same
	}
	s.Answers[q] = Answer{Rows: rows, Err: err}
	return s.Answers[q]
}
