package proxy

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of a request besides the names of problems.
const (
	outcomeOK   = "ok"
	outcomeLeft = "client-left" // the client left before its answer
)

// otherRoute is the route, and the method, of requests to no route of the session API: unknown paths, and the
// operators' own.
const otherRoute = "other"

// latencyBuckets are in seconds: from less than a round trip to about the longest ?wait= and the hold window together.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}

// requestMetrics counts requests for Prometheus. The metrics of each route are made in advance, so that no label is
// looked up for a request unless it fails.
type requestMetrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
	routes   map[routeKey]*routeMetrics // never changed once the API is made
	other    *routeMetrics
}

type routeKey struct{ method, pattern string }

// routeMetrics are the metrics of one route.
type routeMetrics struct {
	pattern  string
	ok, left prometheus.Counter
	problems [kindCount]prometheus.Counter
	took     prometheus.Observer
	inFlight prometheus.Gauge
}

func newRequestMetrics() *requestMetrics {
	m := &requestMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorstate_http_requests_total",
			Help: "Requests that ended, by method, route and outcome: ok, client-left, or the problem's name. " +
				"The route other is for paths that are not in the session API.",
		}, []string{"method", "route", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mirrorstate_http_request_duration_seconds",
			Help:    "How long requests of the session API took, including waits for a lock (?wait=) or a principal.",
			Buckets: latencyBuckets,
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorstate_http_requests_in_flight", Help: "Requests of the session API in progress.",
		}),
		routes: make(map[routeKey]*routeMetrics),
	}
	m.other = m.series(otherRoute, otherRoute)
	return m
}

// route returns the metrics of a route, and makes them the first time. Do not call it while requests are served.
func (m *requestMetrics) route(method, pattern string) *routeMetrics {
	key := routeKey{method, pattern}
	if m.routes[key] == nil {
		rm := m.series(method, pattern)
		rm.took, rm.inFlight = m.took.WithLabelValues(method, pattern), m.inFlight
		m.routes[key] = rm
	}
	return m.routes[key]
}

func (m *requestMetrics) series(method, pattern string) *routeMetrics {
	rm := &routeMetrics{
		pattern: pattern,
		ok:      m.requests.WithLabelValues(method, pattern, outcomeOK),
		left:    m.requests.WithLabelValues(method, pattern, outcomeLeft),
	}
	for k := range kindCount {
		rm.problems[k] = m.requests.WithLabelValues(method, pattern, k.name())
	}
	return rm
}

// of returns the metrics that count a request.
func (m *requestMetrics) of(r *http.Request) *routeMetrics {
	if rm := m.routes[routeKey{r.Method, routeOf(r)}]; rm != nil {
		return rm
	}
	return m.other
}

// begin and end enclose every request of a route.
func (rm *routeMetrics) begin() time.Time {
	rm.inFlight.Inc()
	return time.Now()
}

func (rm *routeMetrics) end(began time.Time) {
	rm.inFlight.Dec()
	rm.took.Observe(time.Since(began).Seconds())
}

// name returns the problem's name; not-found for an unknown path.
func (k kind) name() string {
	if k == kindNoRoute {
		return "not-found"
	}
	return problems[k].name
}

var _ prometheus.Collector = (*API)(nil)

// Describe implements prometheus.Collector.
func (a *API) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(a, to) }

// Collect implements prometheus.Collector. It collects the metrics of requests and of waiting for locks.
func (a *API) Collect(to chan<- prometheus.Metric) {
	m := a.report.counts.requests
	m.requests.Collect(to)
	m.took.Collect(to)
	m.inFlight.Collect(to)
	a.waiters.collect(to)
}

// The metrics of calls that wait for a session's lock.
var (
	waitersDesc = prometheus.NewDesc("mirrorstate_lock_waiters", "Callers that wait for a session's lock now.", nil, nil)
	waitsDesc   = prometheus.NewDesc("mirrorstate_lock_waits_total",
		"Callers that wanted to wait for a session's lock, by what became of it: served (with an answer other than locked), expired, left, "+
			"session-limit or total-limit (turned away), evicted (turned away later, for a caller with fewer).", []string{"outcome"}, nil)
	pollsDesc = prometheus.NewDesc("mirrorstate_lock_polls_total", "Tries by the heads of the queues for sessions' locks.", nil, nil)
	wokenDesc = prometheus.NewDesc("mirrorstate_lock_wakes_total", "Of those, tries because the lock was released through this server.", nil, nil)
)

// newWaitTimes returns the histogram of the time in a session's queue.
func newWaitTimes() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "mirrorstate_lock_wait_duration_seconds", Help: "How long callers were in a session's queue for its lock.", Buckets: latencyBuckets,
	})
}

func (w *waiters) collect(to chan<- prometheus.Metric) {
	s := w.stats()
	to <- prometheus.MustNewConstMetric(waitersDesc, prometheus.GaugeValue, float64(s.Waiting))
	for outcome, n := range map[string]uint64{
		"served": s.Served, "expired": s.Expired, "left": s.Left, "session-limit": s.SessionLimit, "total-limit": s.TotalLimit, "evicted": s.Evicted,
	} {
		to <- prometheus.MustNewConstMetric(waitsDesc, prometheus.CounterValue, float64(n), outcome)
	}
	to <- prometheus.MustNewConstMetric(pollsDesc, prometheus.CounterValue, float64(s.Polls))
	to <- prometheus.MustNewConstMetric(wokenDesc, prometheus.CounterValue, float64(s.Woken))
	w.took.Collect(to)
}
