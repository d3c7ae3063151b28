package aspstate

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// listText lists an application's sessions in the order of their keys. It reads
// the table itself and so needs SELECT on it, which the procedures' users may lack.
const listText = `SELECT TOP (@limit) SessionId, Created, Expires, Timeout, Locked, ` +
	`DATEDIFF(second, LockDate, GETUTCDATE()) AS LockAge, Flags, CASE WHEN Expires <= GETUTCDATE() THEN 1 ELSE 0 END AS Expired, ` +
	`COALESCE(DATALENGTH(SessionItemLong), DATALENGTH(SessionItemShort)) AS Size ` +
	`FROM dbo.ASPStateTempSessions WHERE SessionId LIKE @suffix AND SessionId > @after ORDER BY SessionId`

// List implements session.Lister. limit is 1 to 10,000.
func (s *Store) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	limit = min(max(limit, 1), 10_000)
	var entries []session.Entry
	what := partner.Call{Label: "list"}
	err := s.pair.Do(ctx, what, func(ctx context.Context, a *partner.Attempt) error {
		if err := permitted(ctx, what, a); err != nil {
			return err
		}
		id, err := s.apps.resolve(ctx, what, a, app.Name, false)
		if err != nil {
			return err
		}
		from := ""
		if after != "" {
			from = after.Key(id)
		}
		entries, err = list(ctx, a, id, from, limit)
		return err
	})
	if err == session.ErrNotFound { // an application nobody has registered
		return nil, nil
	}
	return entries, DomainError(err)
}

func list(ctx context.Context, a *partner.Attempt, app session.AppID, after string, limit int) ([]session.Entry, error) {
	rows, err := a.Conn.QueryContext(ctx, listText,
		sql.Named("limit", limit), sql.Named("suffix", "%"+app.Suffix()), sql.Named("after", after))
	if err != nil {
		return nil, fmt.Errorf("list sessions on %s: %w", a.Partner, err)
	}
	defer rows.Close()
	var entries []session.Entry
	for rows.Next() {
		var (
			e     session.Entry
			key   string
			age   int
			flags int
			size  sql.NullInt64
		)
		if err := rows.Scan(&key, &e.Created, &e.Expires, &e.Timeout, &e.Locked, &age, &flags, &e.Expired, &size); err != nil {
			return nil, fmt.Errorf("list sessions on %s: %w", a.Partner, err)
		}
		e.ID = session.ID(key[:len(key)-len(app.Suffix())]) // LIKE has seen to the suffix
		e.Created, e.Expires, e.Size = e.Created.UTC(), e.Expires.UTC(), int(size.Int64)
		e.Uninitialized = flags&1 != 0
		if e.Locked {
			e.LockAge = age
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sessions on %s: %w", a.Partner, err)
	}
	return entries, nil
}
