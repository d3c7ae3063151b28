package proxy

import (
	"context"

	"github.com/mirrorstate/mirrorstate/session"
)

// What a call takes in and gives out of tags and handles goes through here, so that the store
// and the rest of the package see tags and locks only, and callers what is sealed.

// tagOf is the session's tag as it is answered, in quotation marks; empty where there is none. A
// session is answered without its tag if it can't be sealed: what the call was for is done.
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

// conditionOf is a precondition in the store's words. A tag that nobody sealed for this session is no
// version of it.
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
			return session.Condition{}, &problemError{kindPrecondition, "If-Match names no version of this session; nothing was written. " + weakened}
		}
		return session.Condition{}, session.ErrPrecondition
	}
	return cond, nil
}

// handleOf is the lock's handle.
func (c *call) handleOf(ctx context.Context, lock session.Lock) (string, error) {
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return "", err
	}
	return k.handle(c.ref, lock), nil
}

// lockOf is the lock of a handle. One that is malformed, or another session's, is
// ErrLockLost, like one that is stale.
func (c *call) lockOf(ctx context.Context, handle string) (session.Lock, error) {
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return session.Lock{}, err
	}
	return k.openHandle(c.ref, handle)
}
