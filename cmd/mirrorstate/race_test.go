//go:build race

package main

// The race detector makes this program several times slower and larger: the abuse is less then.
const (
	idleConnections = 1000
	flooders        = 80
	floodLimits     = "limits: {requests: 4, queue: 20, queue_wait: 2s}\n"
	wantedInFlood   = 50
)
