package session

import "context"

// Permission says what the caller of a store's call may still do. A call may be held for half a minute, and its
// caller may lose a right meanwhile.
//
// It answers from memory and does not wait. A store calls it from one goroutine at a time.
type Permission interface {
	// Permitted returns nil while the call may be made, and otherwise the error for its caller. A store asks before
	// each attempt, also the first one, and sends nothing if the attempt is refused.
	Permitted() error

	// MayRegister returns nil if the call may register the application with this lower-cased name in the store, and
	// otherwise the error for its caller. A store asks before each attempt to register.
	MayRegister(app string) error
}

// permissionKey is the context key of a Permission.
type permissionKey struct{}

// WithPermission returns a context with a Permission. A store asks p about calls with this context.
func WithPermission(ctx context.Context, p Permission) context.Context {
	return context.WithValue(ctx, permissionKey{}, p)
}

// PermissionOf returns the context's permission, or nil: then everything is permitted.
func PermissionOf(ctx context.Context) Permission {
	p, _ := ctx.Value(permissionKey{}).(Permission)
	return p
}

// Permitted asks the context's permission, if it has one.
func Permitted(ctx context.Context) error {
	if p := PermissionOf(ctx); p != nil {
		return p.Permitted()
	}
	return nil
}
