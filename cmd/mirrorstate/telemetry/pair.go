package telemetry

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/partner"
)

// pairSource is the part of a pair that the metrics use; *partner.Pair implements it.
type pairSource interface {
	Status() partner.Status
	Stats() partner.Stats
	Pool() partner.PoolStats
}

// desc returns the description of a metric: its name, help text and labels.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mirrorstate_"+name, help, labels, nil)
}

// The pair's metrics.
var (
	epochDesc        = desc("pair_epoch", "The fencing number of all calls; 0 on a stock schema.")
	sequenceDesc     = desc("pair_role_sequence", "SQL Server's count of the mirrored database's role switches; 0: unknown.")
	exposedDesc      = desc("pair_exposed", "1 while the mirror does not have all acknowledged writes.")
	splitDesc        = desc("pair_split_brain", "1 while both partners claim to be a writable principal.")
	splitsDesc       = desc("pair_split_brains_total", "How often both partners began to claim to be principal.")
	principalDesc    = desc("pair_principal", "1 for the partner that gets the calls; 0 for both while there is no principal.", "partner")
	principalsDesc   = desc("pair_principal_changes_total", "How often a partner became the one that gets the calls, or came back as it.", "partner")
	noPrincipalDesc  = desc("pair_principal_losses_total", "How often the pair was left without a partner that can get calls.")
	fencedDesc       = desc("pair_fenced_total", "Claims to be principal that were ignored, by reason.", "reason")
	acceptsDesc      = desc("pair_accepts_total", "How often an operator chose the principal (pair accept).")
	memoryErrorsDesc = desc("pair_memory_errors_total", "Failed writes of the file that stores the accepted principal.")

	infoDesc       = desc("partner_info", "1, with the partner's server and its pair: both servers and the database.", "partner", "server", "pair")
	roleDesc       = desc("partner_role", "1 for the role a partner has: principal, mirror or unknown.", "partner", "role")
	rolesDesc      = desc("partner_role_changes_total", "Observed changes of a partner's role, by the new role.", "partner", "role")
	breakerDesc    = desc("partner_breaker", "1 for the state of a partner's breaker: closed, open or half-open.", "partner", "state")
	breakersDesc   = desc("partner_breaker_changes_total", "Changes of a partner's breaker, by the new state.", "partner", "state")
	reachableDesc  = desc("partner_reachable", "1 if the last probe of the partner was answered.", "partner")
	syncedDesc     = desc("partner_synchronized", "1 if the partner shows the mirroring state SYNCHRONIZED.", "partner")
	probeDesc      = desc("partner_probe_latency_seconds", "Round trip of the last probe that was answered.", "partner")
	clockDesc      = desc("partner_clock_offset_seconds", "The partner's clock minus this server's.", "partner")
	holdingDesc    = desc("hold_calls", "Calls that are waiting for a principal.")
	heldBytesDesc  = desc("hold_bytes", "Bytes of the items of the calls that are waiting for a principal; may exceed pair.hold.bytes.")
	heldTotalDesc  = desc("hold_entered_total", "Calls that had to wait for a principal.")
	heldGoneDesc   = desc("hold_evicted_total", "Calls that were removed from the hold for a caller with less in it.")
	watchedDesc    = desc("watchdog_enabled", "1 if the watchdog may force service.")
	decisionsDesc  = desc("watchdog_decisions_total", "Decisions of the watchdog that differed from the previous one, by action.", "action")
	decisionDesc   = desc("watchdog_action", "1 for the watchdog's last decision.", "action")
	forcedDesc     = desc("watchdog_forced_total", "How often the watchdog forced service.")
	poolOpenDesc   = desc("pool_connections", "Connections to the principal, by state: in-use or idle.", "state")
	poolMaxDesc    = desc("pool_connections_max", "Maximum number of connections to the principal.")
	poolQueuedDesc = desc("pool_queued", "Calls that are waiting for a connection.")
	poolWaitsDesc  = desc("pool_waits_total", "Calls that had to wait for a connection; starts at 0 with each new principal.")
	poolGoneDesc   = desc("pool_evicted_total", "Calls that were removed while they waited for a connection, for a caller with fewer waiting calls.")
	poolWaitedDesc = desc("pool_wait_seconds_total", "Total time that calls waited for a connection; starts at 0 with each new principal.")
)

// The values of labels. A series exists for each of them.
var (
	roles    = []partner.Role{partner.RolePrincipal, partner.RoleMirror, partner.RoleUnknown}
	breakers = []string{"closed", "open", "half-open"}
	fences   = []string{"epoch", "role-sequence", "no-epoch", "overruled"}
	actions  = []string{"off", "watch", "wait", "block", "would-force", "force"}
)

// Pair returns the metrics of a pair. They are read at the scrape.
func Pair(p pairSource) prometheus.Collector { return pairMetrics{p} }

type pairMetrics struct{ pair pairSource }

// Describe implements prometheus.Collector.
func (m pairMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m pairMetrics) Collect(to chan<- prometheus.Metric) {
	c := sink{to}
	st, stats := m.pair.Status(), m.pair.Stats()
	c.gauge(epochDesc, float64(st.Epoch))
	c.gauge(sequenceDesc, float64(st.RoleSequence))
	c.flag(exposedDesc, st.Exposed)
	c.flag(splitDesc, st.SplitBrain)
	c.count(splitsDesc, stats.SplitBrains)
	c.count(noPrincipalDesc, stats.Published[partner.EventKey{Kind: "no-principal"}])
	for _, reason := range fences {
		c.count(fencedDesc, stats.Fenced[reason], reason)
	}
	c.count(acceptsDesc, stats.Accepts)
	c.count(memoryErrorsDesc, stats.MemoryErrors)
	pair := pairLabel(st)
	for _, p := range st.Partners {
		c.flag(infoDesc, true, string(p.Name), serverLabel(p), pair)
		c.partner(st, p, stats)
	}
	c.gauge(holdingDesc, float64(st.Hold.Held))
	c.gauge(heldBytesDesc, float64(st.Hold.Bytes))
	c.count(heldTotalDesc, st.Hold.Total)
	c.count(heldGoneDesc, st.Hold.Evicted)
	c.flag(watchedDesc, st.Watchdog.Enabled)
	for _, action := range actions {
		c.flag(decisionDesc, st.Watchdog.Action == action, action)
		c.count(decisionsDesc, stats.Watchdog[action], action)
	}
	c.count(forcedDesc, st.Watchdog.Forced)
	c.pool(m.pair.Pool())
}

// pairLabel returns the name of a pair. The name is the same if the configuration swaps the servers a and b.
func pairLabel(st partner.Status) string {
	var servers []string
	for _, p := range st.Partners {
		servers = append(servers, serverLabel(p))
	}
	slices.Sort(servers)
	return strings.Join(servers, " ") + " " + strings.ToLower(st.Database)
}

func serverLabel(p partner.PartnerStatus) string { return strings.ToLower(p.Address) }

// partner sends the metrics of one partner.
func (c sink) partner(st partner.Status, p partner.PartnerStatus, stats partner.Stats) {
	name := string(p.Name)
	c.flag(principalDesc, st.Principal == p.Name, name)
	c.count(principalsDesc, stats.Published[partner.EventKey{Kind: "principal", Partner: p.Name}], name)
	for _, role := range roles {
		c.flag(roleDesc, p.Role == role, name, string(role))
		c.count(rolesDesc, stats.Published[partner.EventKey{Kind: "role", Partner: p.Name, To: string(role)}], name, string(role))
	}
	for _, state := range breakers {
		c.flag(breakerDesc, p.Breaker == state, name, state)
		c.count(breakersDesc, stats.Published[partner.EventKey{Kind: "breaker", Partner: p.Name, To: state}], name, state)
	}
	c.flag(reachableDesc, p.Reachable, name)
	c.flag(syncedDesc, p.State == "SYNCHRONIZED", name)
	c.gauge(probeDesc, p.LatencyMS/1000, name)
	c.gauge(clockDesc, p.ClockMS/1000, name)
}

// pool sends the metrics of the connections.
func (c sink) pool(s partner.PoolStats) {
	c.gauge(poolOpenDesc, float64(s.InUse), "in-use")
	c.gauge(poolOpenDesc, float64(s.Idle), "idle")
	c.gauge(poolMaxDesc, float64(s.MaxOpenConnections))
	c.gauge(poolQueuedDesc, float64(s.Queued))
	c.count(poolGoneDesc, s.Evicted)
	c.count(poolWaitsDesc, uint64(s.WaitCount))
	c.to <- prometheus.MustNewConstMetric(poolWaitedDesc, prometheus.CounterValue, s.WaitDuration.Seconds())
}

// sink receives the metrics of a scrape.
type sink struct{ to chan<- prometheus.Metric }

func (c sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (c sink) count(d *prometheus.Desc, n uint64, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (c sink) flag(d *prometheus.Desc, is bool, labels ...string) {
	v := 0.0
	if is {
		v = 1
	}
	c.gauge(d, v, labels...)
}
