//go:build race

package main

// The size of the abuse tests with the race detector, which makes the program several times slower and larger.
const (
	idleConnections = 1000
	flooders        = 80
	floodLimits     = "limits: {requests: 4, queue: 20, queue_wait: 2s}\n"
	wantedInFlood   = 50
)
