package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// The metrics of the expiry job, and of the server's readiness.
var (
	leaderDesc  = desc("sweep_leader", "1 while this server has the fleet's lease for the expiry job.")
	runningDesc = desc("sweep_running", "1 during a sweep of this server.")
	heldDesc    = desc("sweep_held", "1 while this server must not sweep: the clocks differ, or the SQL Server Agent job sweeps.")
	failingDesc = desc("sweep_last_failed", "1 if this server's last sweep failed.")
	lastRunDesc = desc("sweep_last_run_timestamp_seconds", "When the fleet last swept, by the database's clock, in seconds since 1970; 0: never.")
	lagDesc     = desc("sweep_oldest_expired_seconds", "How long ago the oldest expired session of the last sweep had expired.")
	lastingDesc = desc("sweep_last_duration_seconds", "Duration of this server's last sweep, including pauses.")
	sweepsDesc  = desc("sweep_runs_total", "Sweeps of this server.")
	deletedDesc = desc("sweep_deleted_total", "Expired sessions that this server deleted.")
	batchesDesc = desc("sweep_batches_total", "Batches in which this server deleted expired sessions.")
	readyDesc   = desc("ready", "1 while /readyz answers 200.")
)

// Sweep returns the metrics of an expiry job.
func Sweep(status func() aspstate.SweepStatus) prometheus.Collector { return sweepMetrics(status) }

type sweepMetrics func() aspstate.SweepStatus

// Describe implements prometheus.Collector.
func (m sweepMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m sweepMetrics) Collect(to chan<- prometheus.Metric) {
	c, st := sink{to}, m()
	c.flag(leaderDesc, st.Leader)
	c.flag(runningDesc, st.Running)
	c.flag(heldDesc, st.Held != "")
	c.flag(failingDesc, st.LastError != "")
	last := 0.0
	if st.LastRun != nil {
		last = float64(st.LastRun.UnixMilli()) / 1000
	}
	c.gauge(lastRunDesc, last)
	c.gauge(lagDesc, st.OldestExpiredS)
	c.gauge(lastingDesc, st.DurationS)
	c.count(sweepsDesc, uint64(st.Runs))
	c.count(deletedDesc, uint64(st.DeletedTotal))
	c.count(batchesDesc, uint64(st.BatchesTotal))
}

// Ready returns the metric of readiness.
func Ready(ready func() bool) prometheus.Collector { return readyMetric(ready) }

type readyMetric func() bool

// Describe implements prometheus.Collector.
func (m readyMetric) Describe(to chan<- *prometheus.Desc) { to <- readyDesc }

// Collect implements prometheus.Collector.
func (m readyMetric) Collect(to chan<- prometheus.Metric) { sink{to}.flag(readyDesc, m()) }
