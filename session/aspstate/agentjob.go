package aspstate

import (
	"context"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner"
)

// What to do beside an SQL Agent job that deletes expired sessions too.
const (
	// AgentBeside sweeps as if it were not there: both do no harm, and the job finds nothing to do.
	AgentBeside = "beside"
	// AgentYield leaves the sweeping to the job while it is enabled on the principal.
	AgentYield = "yield"
)

// What is known of the job.
const (
	agentUnknown = "unknown" // the login may not read msdb, or it is not there
	agentNone    = "none"
	agentEnabled = "enabled"
)

// agentJobText counts enabled jobs with a step that calls this database's stock procedure, on the server that is
// principal: whatever a job is called, that is what aspnet_regsql's does. The name is looked for as it is: to LIKE its _
// and [ would be wildcards. Source: facts, mirroring §8.
const agentJobText = `SELECT COUNT(*) AS Jobs FROM msdb.dbo.sysjobs AS j JOIN msdb.dbo.sysjobsteps AS s ON s.job_id = j.job_id ` +
	`WHERE j.enabled = 1 AND s.command LIKE N'%DeleteExpiredSessions%' ` +
	`AND (s.database_name = DB_NAME() OR CHARINDEX(DB_NAME(), s.command) > 0)`

// agentJob looks for the job on the principal. What can't be read is unknown.
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

// heldByAgent says, in words, that the job does the sweeping; empty: it doesn't.
func heldByAgent(rule, job string) string {
	if rule == AgentYield && job == agentEnabled {
		return "SQL Agent's job on the principal deletes expired sessions (sweep.agent_job: yield)"
	}
	return ""
}
