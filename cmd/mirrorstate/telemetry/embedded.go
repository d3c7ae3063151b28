package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// Refused logins and connections of the embedded pair's servers.
var (
	failedLoginsDesc = desc("embedded_logins_failed_total", "Logins to an embedded partner that were refused for their user name or password; only with the embedded pair.", "partner")
	fullDesc         = desc("embedded_connections_refused_total", "Connections to an embedded partner that were refused or closed because it had too many; only with the embedded pair.", "partner")
)

// Embedded returns the metrics of an embedded pair's servers.
func Embedded(servers *embedded.Pair) prometheus.Collector { return embeddedMetrics{servers} }

type embeddedMetrics struct{ servers *embedded.Pair }

// Describe implements prometheus.Collector.
func (m embeddedMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- failedLoginsDesc
	to <- fullDesc
}

// Collect implements prometheus.Collector.
func (m embeddedMetrics) Collect(to chan<- prometheus.Metric) {
	c := sink{to}
	for _, name := range []string{"a", "b"} {
		n := m.servers.Partner(name).Counters()
		c.count(failedLoginsDesc, uint64(n.Failed), name)
		c.count(fullDesc, uint64(n.Full), name)
	}
}
