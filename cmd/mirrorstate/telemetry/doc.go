// Package telemetry exports Prometheus metrics of a server, and OpenTelemetry traces if the standard OTEL_ variables
// request them.
//
// Most metrics are read at the scrape, from counters of other packages. Only attempts and waits for a principal are
// recorded during a call. Their series exist before the first call, so recording costs one or two atomic additions.
// docs/metrics.md lists every metric. Names, labels and meanings of metrics do not change.
//
// Without OTEL_EXPORTER_OTLP_ENDPOINT there is no tracer, and tracing costs a call nothing.
package telemetry
