package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// The metrics of authentication and of the limits that protect a server.
var (
	refusedDesc     = desc("access_refused_total", "Requests that were refused, by reason: no-credential, unknown, expired, no-right, other-application, or over-rate.", "reason")
	placesDesc      = desc("requests_at_store", "Calls that use the store now; limits.requests is the maximum.")
	queueDesc       = desc("requests_queued", "Calls that are queued for the store now.")
	queuedDesc      = desc("requests_queued_total", "Calls that were queued for the store.")
	passedDesc      = desc("requests_passed_total", "Calls that bypassed the queue, because the pair holds calls itself.")
	shedDesc        = desc("requests_shed_total", "Queued calls that did not get to the store, by reason: full (the queue was full), evicted (removed for a caller with fewer calls in the queue), late (the call waited too long), or left (the client left).", "reason")
	itemsDesc       = desc("items_bytes", "Bytes of items in memory now; limits.bytes is the maximum.")
	itemsShedDesc   = desc("items_shed_total", "Requests that were refused because their item would exceed limits.bytes.")
	keptDesc        = desc("idempotency_keys", "Idempotency-Keys whose requests are remembered now; limits.idempotency_keys is the maximum.")
	forgottenDesc   = desc("idempotency_keys_forgotten_total", "Idempotency-Keys whose requests were removed before ten minutes had passed, because there were too many.")
	registeringDesc = desc("applications_refused_total", "Registrations of applications that were refused because the caller had reached limits.new_applications.")
	itemsGoneDesc   = desc("items_evicted_total", "Requests that were ended to make room in limits.bytes for a caller with fewer bytes: they waited for their client, a lock, the store or a principal.")
	connectionsDesc = desc("connections", "Open connections of clients.", "listener")
	strangersDesc   = desc("connections_unauthenticated", "Open connections of clients that have sent no key or certificate yet.", "listener")
	evictedDesc     = desc("connections_evicted_total", "Connections that were closed to make room: unauthenticated, idle, or waiting for the client to send a request or to read an answer.", "listener")
	crowdedDesc     = desc("connections_crowded_total", "Connections that were closed because their address had more than limits.unauthenticated_per_address.", "listener")
	unreadDesc      = desc("connections_unread_total", "Connections that were closed because the client did not read its answers in time.", "listener")
	turnedDesc      = desc("connections_refused_total", "New connections that were closed because all others were busy.", "listener")
	keysDesc        = desc("keys", "Entries of auth.keys_file.")
	keyReadsDesc    = desc("keys_reads_total", "Changes of auth.keys_file, by result: taken (applied) or refused (not applied).", "result")
	certEndDesc     = desc("certificate_not_after_timestamp_seconds", "When the listener's certificate expires, in seconds since 1970.", "listener")
	certReadsDesc   = desc("certificate_reads_total", "Changes of the listener's certificate, by result: taken (applied) or refused (not applied).", "listener", "result")
)

// Limits returns the metrics of an API's limits and of authentication. keys may be nil.
func Limits(api *proxy.API, keys *keyring.Keys) prometheus.Collector {
	return &limitMetrics{api: api, keys: keys}
}

type limitMetrics struct {
	api  *proxy.API
	keys *keyring.Keys
}

// Describe implements prometheus.Collector.
func (m *limitMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m *limitMetrics) Collect(to chan<- prometheus.Metric) {
	c, s := sink{to}, m.api.Stats()
	a := s.Access
	for reason, n := range map[string]uint64{
		"no-credential": a.NoCredential, "unknown": a.Unknown, "expired": a.Expired,
		"no-right": a.NoRight, "other-application": a.NoApplication, "over-rate": a.OverRate,
	} {
		c.count(refusedDesc, n, reason)
	}
	c.gauge(placesDesc, float64(s.Admission.Busy))
	c.gauge(queueDesc, float64(s.Admission.Waiting))
	c.count(queuedDesc, s.Admission.Queued)
	c.count(passedDesc, s.Admission.Passed)
	for reason, n := range map[string]uint64{"full": s.Admission.Full, "evicted": s.Admission.Evicted, "late": s.Admission.Late, "left": s.Admission.Left} {
		c.count(shedDesc, n, reason)
	}
	c.gauge(itemsDesc, float64(s.Memory.Bytes))
	c.count(itemsShedDesc, s.Memory.Refused)
	c.gauge(keptDesc, float64(s.RequestsKept))
	c.count(forgottenDesc, s.KeptForgotten)
	c.count(registeringDesc, s.Registrations)
	c.count(itemsGoneDesc, s.Memory.Evicted)
	var k keyring.Stats
	if m.keys != nil {
		k = m.keys.Stats()
	}
	c.gauge(keysDesc, float64(k.Entries))
	c.count(keyReadsDesc, k.Reloads, "taken")
	c.count(keyReadsDesc, k.Failures, "refused")
}

// Listeners are the metrics of the server's listeners.
type Listeners []*Listener

// Listener is the metrics of one listener.
type Listener struct {
	name        string
	certificate *proxy.Certificates // nil: no certificate
	stats       atomic.Pointer[func() proxy.ConnectionStats]
}

// NewListener returns the metrics of a listener, "api" or "admin". certificate may be nil.
func NewListener(name string, certificate *proxy.Certificates) *Listener {
	return &Listener{name: name, certificate: certificate}
}

// Watch sets the function that returns the listener's connection counters. It is called when the listener begins to serve.
func (l *Listener) Watch(stats func() proxy.ConnectionStats) { l.stats.Store(&stats) }

// Describe implements prometheus.Collector.
func (ls Listeners) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(ls, to) }

// Collect implements prometheus.Collector.
func (ls Listeners) Collect(to chan<- prometheus.Metric) {
	for _, l := range ls {
		l.collect(sink{to})
	}
}

func (l *Listener) collect(c sink) {
	var s proxy.ConnectionStats
	if stats := l.stats.Load(); stats != nil {
		s = (*stats)()
	}
	c.gauge(connectionsDesc, float64(s.Open), l.name)
	c.gauge(strangersDesc, float64(s.Unauthenticated), l.name)
	c.count(evictedDesc, s.Evicted, l.name)
	c.count(crowdedDesc, s.PerAddress, l.name)
	c.count(unreadDesc, s.Unread, l.name)
	c.count(turnedDesc, s.Refused, l.name)
	var cert proxy.CertificateStats
	end := 0.0
	if l.certificate != nil {
		cert = l.certificate.Stats()
		end = float64(cert.NotAfter.Unix())
	}
	c.gauge(certEndDesc, end, l.name)
	c.count(certReadsDesc, cert.Reloads, l.name, "taken")
	c.count(certReadsDesc, cert.Failures, l.name, "refused")
}
