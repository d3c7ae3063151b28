package memory

import (
	"context"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/session"
)

// List implements [session.Lister]. Ids are ordered without case.
func (s *Store) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	c, err := s.call(ctx, session.Ref{App: app, ID: after})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []key
	for k := range s.rows {
		if k.app == c.key.app && k.id > c.key.id {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.id, b.id) })
	keys = keys[:min(len(keys), max(limit, 0))]
	entries := make([]session.Entry, len(keys))
	for i, k := range keys {
		entries[i] = s.rows[k].entry(c)
	}
	return entries, nil
}

// entry returns the row in a listing. A lock is listed whether it is abandoned or not: an operator can tell by its
// age.
func (r *row) entry(c call) session.Entry {
	e := session.Entry{
		ID:            r.id,
		Created:       r.created,
		Expires:       r.expires,
		Expired:       !r.held(c) && !r.live(c),
		Timeout:       r.timeout,
		Seconds:       r.seconds,
		Locked:        r.locked,
		Uninitialized: r.uninitialized,
		Size:          len(r.item),
	}
	if r.locked {
		e.LockAge = int(max(0, c.now.Unix()-r.lockDate.Unix()))
	}
	return e
}
