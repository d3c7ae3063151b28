package session

import "context"

// CallerContext is a context that names who a call is for, where callers are told apart: what a store bounds, it
// bounds with a share for each of them. It is a struct so that it can be part of another, and costs no allocation.
type CallerContext struct {
	context.Context
	Caller string // opaque; empty: not told apart
}

type callerKey struct{}

// Value implements context.Context.
func (c *CallerContext) Value(key any) any {
	if key == (callerKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// CallerOf is the name in the nearest CallerContext, or empty.
func CallerOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*CallerContext); ok {
		return c.Caller
	}
	return ""
}
