package engine

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// serverViewsText creates the views about SQL Agent's jobs, the history of backups, and counters. An embedded partner
// has no Agent, no counters and no log that fills, so that these views are empty unless a test plants rows. Queries
// must use the full names of the views of msdb.
const serverViewsText = `
CREATE TEMP TABLE sys_sysjobs (job_id uniqueidentifier, name nvarchar(128), enabled tinyint);
CREATE TEMP TABLE sys_sysjobsteps (job_id uniqueidentifier, step_id int, step_name nvarchar(128), subsystem nvarchar(40), command nvarchar(4000), database_name nvarchar(128));
CREATE TEMP TABLE sys_backupset (database_name nvarchar(128), type char(1), backup_finish_date datetime);
CREATE TEMP TABLE sys_dm_os_performance_counters (object_name nchar(128), counter_name nchar(128), instance_name nchar(128), cntr_value bigint);
CREATE TEMP TABLE sys_dm_db_log_space_usage (database_id int, total_log_size_in_bytes bigint, used_log_space_in_bytes bigint, used_log_space_in_percent real);
`

// backupRows returns the last full and the last log backup of each database that was backed up on this server, in the
// server's local time.
func backupRows(s *session, _ string) (rows [][]any) {
	for _, d := range s.p.Sorted() {
		for i, seconds := range s.p.backupTimes(d) {
			if seconds != 0 {
				when := time.Unix(seconds, 0)
				_, offset := when.Zone()
				rows = append(rows, []any{d.Title, []string{"D", "L"}[i], storage.DateValue(sqlvalue.DatetimeOf(when) + sqlvalue.Datetime(offset)*sqlvalue.TicksPerSecond)})
			}
		}
	}
	return rows
}
