package aspstate

import (
	"context"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner"
)

// What to do if an SQL Agent job deletes expired sessions too.
const (
	// AgentBeside sweeps in any case: both together do no harm, and the job finds nothing to do.
	AgentBeside = "beside"
	// AgentYield leaves the sweep to the job while it is enabled on the principal.
	AgentYield = "yield"
)

// What is known of the job.
const (
	agentUnknown = "unknown" // the login may not read msdb, or there is no msdb
	agentNone    = "none"
	agentEnabled = "enabled"
)

// agentJobText counts enabled jobs, on the principal, with a step that calls this database's stock procedure:
// aspnet_regsql's job does, whatever its name is. The database's name is compared literally: in LIKE, its _ and [
// would be wildcards. Source: facts, mirroring §8.
const agentJobText = `SELECT COUNT(*) AS Jobs FROM msdb.dbo.sysjobs AS j JOIN msdb.dbo.sysjobsteps AS s ON s.job_id = j.job_id ` +
	`WHERE j.enabled = 1 AND s.command LIKE N'%DeleteExpiredSessions%' ` +
	`AND (s.database_name = DB_NAME() OR CHARINDEX(DB_NAME(), s.command) > 0)`

// agentJob looks for the job on the principal. If it cannot be read, the result is unknown.
func (s *Store) agentJob(ctx context.Context) string {
	jobs, err := do(ctx, s.pair, partner.Call{Label: "look for the Agent job"}, func(ctx context.Context, a *partner.Attempt) (jobs int, err error) {
		if err := a.Conn.QueryRowContext(ctx, agentJobText).Scan(&jobs); err != nil {
			return 0, fmt.Errorf("look for SQL Agent's job on %s: %w", a.Partner, err)
		}
		return jobs, nil
	})
	switch {
	case err != nil:
		return agentUnknown
	case jobs == 0:
		return agentNone
	}
	return agentEnabled
}

// heldByAgent returns why the job does the sweep; empty: it does not.
func heldByAgent(rule, job string) string {
	if rule == AgentYield && job == agentEnabled {
		return "SQL Agent's job on the principal deletes expired sessions (sweep.agent_job: yield)"
	}
	return ""
}
