// Package hold is where calls wait: [Hold] for a principal, [Queue] for one of its connections.
//
// Both are bounded in number and bytes, and shared fairly between callers. A call that need not wait costs one
// atomic load in the hold and one atomic counter in the queue. The package sends no SQL and does not know who
// is principal: whoever decides that opens, shuts and doubts the hold.
package hold
