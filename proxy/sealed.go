package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/session"
)

// Tags and handles are sealed and opened here. The store and the rest of the package see tags and locks only; callers
// see sealed texts only.

// tagOf returns the session's sealed tag, in quotation marks; empty if there is none. If the tag cannot be sealed,
// the session is answered without it, because the call has been applied.
func (c *call) tagOf(ctx context.Context, s *session.Session) string {
	if c.etag != "" || s.Tag == "" {
		return c.etag
	}
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		c.api.log.Debug("answered without an entity tag", "error", err)
		return ""
	}
	c.etag = k.tag(c.ref, s.Tag)
	return c.etag
}

// conditionOf returns a precondition for the store. If the tag was not sealed for this session, the precondition fails.
func (c *call) conditionOf(ctx context.Context, p precondition) (session.Condition, error) {
	cond := session.Condition{OnlyCreate: p.onlyCreate}
	if p.tag == "" {
		return cond, nil
	}
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return cond, err
	}
	var ok bool
	if cond.Match, ok = k.openTag(c.ref, p.tag); !ok || cond.Match == "" {
		if suffixed(p.tag) {
			return session.Condition{}, &problemError{kindPrecondition, "If-Match does not name a version of this session; nothing was written. " + weakened}
		}
		return session.Condition{}, session.ErrPrecondition
	}
	return cond, nil
}

// handleOf returns the lock's handle.
func (c *call) handleOf(ctx context.Context, lock session.Lock) (string, error) {
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return "", err
	}
	return k.handle(c.ref, lock), nil
}

// lockOf returns the lock of a handle. For a malformed handle, or one of another session, it returns ErrLockLost.
func (c *call) lockOf(ctx context.Context, handle string) (session.Lock, error) {
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return session.Lock{}, err
	}
	return k.openHandle(c.ref, handle)
}
