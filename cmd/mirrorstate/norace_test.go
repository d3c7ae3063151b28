//go:build !race

package main

// The size of the abuse tests: ten thousand idle connections, and a flood of many more requests than the server can
// answer.
const (
	idleConnections = 10_000
	flooders        = 300
	floodLimits     = "limits: {requests: 16, queue: 100, queue_wait: 2s}\n"
	wantedInFlood   = 300
)
