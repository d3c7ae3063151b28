package session

import "context"

// Permission says what the caller of a store's call may still do. A call may be held for half a minute, and
// what its caller may do can end meanwhile.
//
// It answers from memory and waits for nothing. A store asks it from one goroutine at a time.
type Permission interface {
	// Permitted returns nil while the call may be made, and otherwise the error that its caller is to get.
	// A store asks before each attempt, its first one included, and sends nothing if it is refused.
	Permitted() error

	// MayRegister returns nil if the call may make the application of this lower-cased name known to the
	// store, and otherwise the error that its caller is to get. A store asks before each attempt to.
	MayRegister(app string) error
}

// permissionKey is the context key of a Permission.
type permissionKey struct{}

// WithPermission returns a context whose calls of a store ask p.
func WithPermission(ctx context.Context, p Permission) context.Context {
	return context.WithValue(ctx, permissionKey{}, p)
}

// PermissionOf returns the context's permission, or nil: then all is permitted.
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
