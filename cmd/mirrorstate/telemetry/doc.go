// Package telemetry shows what a server does to those who watch it: Prometheus metrics, and
// OpenTelemetry traces where the standard OTEL_ variables ask for them.
//
// Metrics are read when they are asked for, from what the other packages count anyway; what
// has to be noted on a call's way (attempts and waits for a principal) are series made before the first
// call, at the cost of an atomic addition or two. docs/metrics.md lists every metric. Their names, labels and
// meanings stay.
//
// Without OTEL_EXPORTER_OTLP_ENDPOINT there is no tracer, and a call pays nothing.
package telemetry
