//go:build !race

package main

// What the abuse suite does to the program: ten thousand idle connections, and a
// flood of many times what there is room for.
const (
	idleConnections = 10_000
	flooders        = 300
	floodLimits     = "limits: {requests: 16, queue: 100, queue_wait: 2s}\n"
	wantedInFlood   = 300
)
