package server

import "runtime"

// unusedBlock is the size of a block that is allocated and never touched. It takes address space, but no memory.
//
// The garbage collector runs when the heap has doubled. Under load, a server with a live heap of a few megabytes would
// run it a hundred times a second. The block makes the heap larger, so the collector runs less often. It adds at most
// its own size in garbage between two runs. A higher GOGC would multiply a large heap instead.
const unusedBlock = 32 << 20

// ReduceGC makes the garbage collector run less often, until stop is called.
func ReduceGC() (stop func()) {
	block := make([]byte, unusedBlock)
	return func() { runtime.KeepAlive(block) }
}
