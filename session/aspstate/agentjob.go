package aspstate

import (
	"context"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner"
)

// What to do if an SQL Agent job deletes expired sessions too.
const (
	// AgentBeside sweeps although the job exists. Both together do no harm: the job finds nothing to do.
	AgentBeside = "beside"
	// AgentYield leaves the sweep to the job while it is enabled on the principal.
	AgentYield = "yield"
)

// The values of SweepStatus.AgentJob.
const (
	agentUnknown = "unknown" // the login may not read msdb, or there is no msdb
	agentNone    = "none"
	agentEnabled = "enabled"
)

// agentJobText counts the enabled jobs on the principal that have a step which calls this database's stock procedure.
// aspnet_regsql makes such a job, under any name. The database's name is compared with CHARINDEX: in LIKE, its _ and [
// would be wildcards. Source: facts, mirroring §8.
const agentJobText = `SELECT COUNT(*) AS Jobs FROM msdb.dbo.sysjobs AS j JOIN msdb.dbo.sysjobsteps AS s ON s.job_id = j.job_id ` +
	`WHERE j.enabled = 1 AND s.command LIKE N'%DeleteExpiredSessions%' ` +
	`AND (s.database_name = DB_NAME() OR CHARINDEX(DB_NAME(), s.command) > 0)`

// agentJob returns whether the job exists on the principal. If msdb cannot be read, it returns agentUnknown.
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

// heldByAgent returns the reason why the sweep is left to the job; empty: it is not.
func heldByAgent(rule, job string) string {
	if rule == AgentYield && job == agentEnabled {
		return "SQL Agent's job on the principal deletes expired sessions (sweep.agent_job: yield)"
	}
	return ""
}
