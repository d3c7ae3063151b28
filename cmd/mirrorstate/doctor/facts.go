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

// Setup is the part of the configuration that is compared with the servers.
type Setup struct {
	How          string // the flags that name this pair in a mirrorstate command, without secrets
	Notes        []string
	Host         [2]string // of each server
	Instance     [2]string // name of its instance, upper case; empty: the default instance
	Port         [2]int    // 0: the default port
	Encrypt      [2]string // strict, true, false or disable
	Trusting     [2]bool   // the certificate is not verified
	Applications []string  // configured names

	HoldWindow       time.Duration
	SweepEnabled     bool
	MaxClockSkew     time.Duration
	AgentJob         string // beside or yield
	WatchdogEnabled  bool
	WatchdogNoGuards bool // pair.watchdog has no observers, and does not allow data loss

	ClientTimeout, BalancerTimeout time.Duration // from the flags; 0: not given
	StateNetworkTimeout            time.Duration // of a web.config in mode StateServer; 0: no such web.config
	RetryInterval                  time.Duration // sqlConnectionRetryInterval of a web.config in mode SQLServer
	DotNet                         bool          // there is a web.config in mode SQLServer
}

// Answer is a server's answer to a question, or the error.
type Answer struct {
	Rows []operate.Row
	Err  error
}

// Side holds the facts about one partner.
type Side struct {
	Name     string // a or b
	Address  string
	Err      error // why the server can't be asked at all; then the other fields are not set
	Found    *operate.Found
	Answers  map[question]Answer
	Schema   *aspstate.Found // nil: the database does not open here, or NoSchema
	NoSchema error           // why Schema is nil, where the database opens
	Rights   map[Right]bool  // whether the login has each right; nil: not asked

	Ahead time.Duration // how far its clock is ahead of ours, at the middle of the round trip
	Round time.Duration // the duration of that round trip

	lost error // why no further question is asked: the connection broke, or an answer was late
}

// Facts are the configuration and the answers of both servers.
type Facts struct {
	Database string
	Setup    Setup
	Sides    [2]*Side
}

// The deadlines. A login has the deadline of package partner, 3 s.
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
			asking, cancel := context.WithTimeoutCause(ctx, sideTime, fmt.Errorf("the server did not answer all questions within %v", sideTime))
			defer cancel()
			f.Sides[i].examine(asking, pc, database)
		}()
	}
	for range parts {
		<-done
	}
	return f
}

// examine asks one server all questions.
func (s *Side) examine(ctx context.Context, pc partner.PartnerConfig, database string) {
	c, err := link.NewConsole(pc, partner.Budgets{})
	if err != nil {
		s.Err = err
		return
	}
	defer c.Close()
	s.Found = &operate.Found{}
	// The first round trip includes the login. So the clock is read again on the open connection.
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
	s.Found = operate.LookPartly(looking, operate.Side(s.Name), s.Address, c, database)
	cancel()
	if s.Found.Database == nil {
		return
	}
	s.examineDatabase(ctx, c, pc, database)
}

// readClock compares the server's clock with ours. It keeps the shortest of three round trips.
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

// examineDatabase asks the questions that need an open database. A mirror refuses the first one.
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
		found, err := aspstate.LookPartly(looking, conn, database, "")
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

// rightsFor returns the rights that a proxy needs on the schema of this side.
func rightsFor(s *Side) (wanted []Right) {
	for _, r := range aspstate.ProxyRights(s.hasEpoch()) {
		wanted = append(wanted, Right{r[0], r[1]})
	}
	return wanted
}

// ask asks one question with a deadline, and keeps the answer.
func (s *Side) ask(ctx context.Context, c *link.Console, q question, statement string) Answer {
	if s.lost != nil {
		s.Answers[q] = Answer{Err: s.lost}
		return s.Answers[q]
	}
	ctx, cancel := context.WithTimeoutCause(ctx, queryTime, fmt.Errorf("no answer within %v", queryTime))
	defer cancel()
	rows, err := c.Query(ctx, statement)
	if err != nil && !answered(err) {
		s.lost = err // each further question would wait for the same error
	}
	s.Answers[q] = Answer{Rows: rows, Err: err}
	return s.Answers[q]
}
