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

// Metrics is what GET /metrics answers.
type Metrics struct {
	Calls   *Calls   // to be the pair's meter
	Reloads *Reloads // to be told of new configurations

	registry *prometheus.Registry
}

// NewMetrics makes the metrics of a program of that version: those of the process, the Go runtime and the build,
// and of calls and reloads. The rest comes with Add. tracing may be nil.
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

// Add adds collectors. Two that have a metric in common are a bug, and panic.
func (m *Metrics) Add(all ...prometheus.Collector) { m.registry.MustRegister(all...) }

// scrapesAtOnce and scrapeTime bound what those who read metrics may cost.
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

// Reloads counts what became of new configurations.
type Reloads struct {
	done *prometheus.CounterVec
	last prometheus.Gauge
	good prometheus.Gauge
}

func newReloads() *Reloads {
	r := &Reloads{
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorstate_config_reloads_total", Help: "Configurations read again on SIGHUP, by result: taken or refused.",
		}, []string{"result"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorstate_config_last_reload_successful", Help: "1 if the configuration read last, at the start or on SIGHUP, was taken; 0 if it was refused.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorstate_config_last_reload_success_timestamp_seconds", Help: "When a configuration was last taken, in seconds since 1970.",
		}),
	}
	for _, result := range []string{"taken", "refused"} {
		r.done.WithLabelValues(result)
	}
	r.good.Set(1)
	r.last.SetToCurrentTime()
	return r
}

// Taken and Refused count one.
func (r *Reloads) Taken() {
	r.done.WithLabelValues("taken").Inc()
	r.good.Set(1)
	r.last.SetToCurrentTime()
}

// Refused counts a configuration with a mistake: the one before goes on.
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
