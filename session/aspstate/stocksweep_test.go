package aspstate

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

// fakeStock is a stock server with this number of expired rows. If denied is set, the login may not delete rows.
type fakeStock struct {
	expired   int64
	denied    bool
	broken    error
	called    []string
	deletions int
}

func (f *fakeStock) number(_ context.Context, text string, _ ...any) (sql.NullInt64, error) {
	switch {
	case f.broken != nil:
		return sql.NullInt64{}, f.broken
	case f.denied:
		return sql.NullInt64{}, wrap(mssql.Error{Number: errNoPermission, Class: 14}, "sweep")
	case text == oldestText:
		return sql.NullInt64{Int64: 77, Valid: f.expired > 0}, nil
	}
	f.deletions++
	return sql.NullInt64{Int64: f.expired, Valid: true}, nil
}

func (f *fakeStock) call(_ context.Context, procedure string) error {
	f.called = append(f.called, procedure)
	return nil
}

// TestSweepOnStock: how a stock schema is swept depends on the login's rights.
func TestSweepOnStock(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		server fakeStock
		ask    sweepAsk
		want   sweepAnswer
		calls  int // calls of the procedure
	}{
		{"with the right to delete", fakeStock{expired: 5}, sweepAsk{limit: 50},
			sweepAnswer{method: sweepStatement, leads: true, deleted: 5, oldest: 77 * time.Second}, 0},
		{"nothing to do", fakeStock{}, sweepAsk{limit: 50}, sweepAnswer{method: sweepStatement, leads: true}, 0},
		{"with EXECUTE only", fakeStock{expired: 5, denied: true}, sweepAsk{limit: 50},
			sweepAnswer{method: SweepProcedure, leads: true, all: true}, 1},
		{"the right was granted later", fakeStock{expired: 5}, sweepAsk{limit: 50, method: SweepProcedure},
			sweepAnswer{method: sweepStatement, leads: true, deleted: 5, oldest: 77 * time.Second}, 0},
		{"a request without a limit", fakeStock{expired: 5}, sweepAsk{method: sweepStatement}, sweepAnswer{method: sweepStatement, leads: true}, 0},
		{"another error", fakeStock{broken: broken}, sweepAsk{limit: 50}, sweepAnswer{method: sweepStatement, leads: true}, 0},
	} {
		got, err := sweepOnStock(t.Context(), &c.server, c.ask)
		if got != c.want || !errors.Is(err, c.server.broken) || len(c.server.called) != c.calls {
			t.Errorf("%s: %+v, %v, procedures called %v; want %+v", c.name, got, err, c.server.called, c.want)
		}
	}
}

func TestHeldByAgent(t *testing.T) {
	for _, c := range []struct {
		rule, job string
		held      bool
	}{
		{AgentYield, agentEnabled, true}, {AgentYield, agentNone, false}, {AgentYield, agentUnknown, false}, {AgentBeside, agentEnabled, false},
	} {
		if got := heldByAgent(c.rule, c.job); (got != "") != c.held {
			t.Errorf("%s beside %s: %q", c.rule, c.job, got)
		}
	}
}
