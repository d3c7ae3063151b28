package session

import "context"

// CallerContext is a context that names the caller of a call, if callers are authenticated. A store shares its bounds
// between callers. It is a struct so that it can be part of another struct without an allocation.
type CallerContext struct {
	context.Context
	Caller string // opaque; empty: callers are not authenticated
}

type callerKey struct{}

// Value implements context.Context.
func (c *CallerContext) Value(key any) any {
	if key == (callerKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// CallerOf returns the name in the nearest CallerContext, or an empty string.
func CallerOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*CallerContext); ok {
		return c.Caller
	}
	return ""
}
