package server

import "runtime"

// ballast is the size of a block that is allocated and never touched, so that it
// costs address space and no memory. The collector runs when the heap has doubled:
// a server whose live heap is a few megabytes would collect a hundred times a
// second under load. This bounds the garbage between two collections by as much
// again, whatever the load, where a higher GOGC would multiply a large heap.
const ballast = 32 << 20

// ReduceGC keeps the ballast until the function it returns is called.
func ReduceGC() (stop func()) {
	block := make([]byte, ballast)
	return func() { runtime.KeepAlive(block) }
}
