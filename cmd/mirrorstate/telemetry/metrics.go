package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics holds the metrics that GET /metrics returns.
type Metrics struct {
	Calls   *Calls   // the meter for the pair
	Reloads *Reloads // counts new configurations

	registry *prometheus.Registry
}

// NewMetrics returns the metrics of the process, the Go runtime, the build with this version, calls and reloads. Add
// adds more. tracing may be nil.
func NewMetrics(version string, tracing *Tracing) *Metrics {
	m := &Metrics{Calls: newCalls(tracing), Reloads: newReloads(), registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mirrorstate_build_info", Help: "1, with the version of this program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.Add(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.Calls, m.Reloads)
	return m
}

// Add adds collectors. It panics if two collectors have the same metric, which is a bug.
func (m *Metrics) Add(all ...prometheus.Collector) { m.registry.MustRegister(all...) }

// scrapesAtOnce and scrapeTime limit the number and duration of concurrent scrapes.
const (
	scrapesAtOnce = 4
	scrapeTime    = 10 * time.Second
)

// Handler answers GET /metrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTime,
	})
}

// Reloads counts new configurations, by result.
type Reloads struct {
	done *prometheus.CounterVec
	last prometheus.Gauge
	good prometheus.Gauge
}

func newReloads() *Reloads {
	r := &Reloads{
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorstate_config_reloads_total", Help: "Configurations read again on SIGHUP, by result: taken (applied) or refused (not applied).",
		}, []string{"result"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorstate_config_last_reload_successful", Help: "1 if the last configuration read, at the start or on SIGHUP, was applied; 0 if it was not.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorstate_config_last_reload_success_timestamp_seconds", Help: "When a configuration was last applied, in seconds since 1970.",
		}),
	}
	for _, result := range []string{"taken", "refused"} {
		r.done.WithLabelValues(result)
	}
	r.good.Set(1)
	r.last.SetToCurrentTime()
	return r
}

// Taken counts a configuration that was applied.
func (r *Reloads) Taken() {
	r.done.WithLabelValues("taken").Inc()
	r.good.Set(1)
	r.last.SetToCurrentTime()
}

// Refused counts a configuration that was not applied because of an error; the previous one stays in use.
func (r *Reloads) Refused() {
	r.done.WithLabelValues("refused").Inc()
	r.good.Set(0)
}

// Describe implements prometheus.Collector.
func (r *Reloads) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(r, to) }

// Collect implements prometheus.Collector.
func (r *Reloads) Collect(to chan<- prometheus.Metric) {
	r.done.Collect(to)
	r.good.Collect(to)
	r.last.Collect(to)
}
