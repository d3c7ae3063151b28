package session

import "context"

// Permission says whether the caller of a call still has its rights. A call may be held for half a minute, and its
// caller may lose a right meanwhile.
//
// Its methods answer from memory and do not wait. A store calls them from one goroutine at a time.
type Permission interface {
	// Permitted returns nil if the call may be made, and otherwise the error for its caller. A store calls it before
	// each attempt, also the first one. If it returns an error, the store sends nothing.
	Permitted() error

	// MayRegister returns nil if the call may register the application with this lower-cased name in the store, and
	// otherwise the error for its caller. A store calls it before each attempt to register.
	MayRegister(app string) error
}

// permissionKey is the context key of a Permission.
type permissionKey struct{}

// WithPermission returns a context with a Permission. For calls with this context, a store asks p.
func WithPermission(ctx context.Context, p Permission) context.Context {
	return context.WithValue(ctx, permissionKey{}, p)
}

// PermissionOf returns the context's permission, or nil. Without a permission everything is permitted.
func PermissionOf(ctx context.Context) Permission {
	p, _ := ctx.Value(permissionKey{}).(Permission)
	return p
}

// Permitted returns the result of Permitted of the context's permission, or nil if it has none.
func Permitted(ctx context.Context) error {
	if p := PermissionOf(ctx); p != nil {
		return p.Permitted()
	}
	return nil
}
