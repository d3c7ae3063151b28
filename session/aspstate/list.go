package aspstate

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// listText lists an application's sessions in the order of their keys. It reads the table itself, so the login needs
// SELECT on it.
const listText = `SELECT TOP (@limit) SessionId, Created, Expires, Timeout, Locked, ` +
	`DATEDIFF(second, LockDate, GETUTCDATE()) AS LockAge, Flags, ` +
	`CASE WHEN Expires <= GETUTCDATE() AND (Locked = 0 OR LockDate <= DATEADD(second, -@lockTimeout, GETUTCDATE())) THEN 1 ELSE 0 END AS Expired, ` +
	`COALESCE(DATALENGTH(SessionItemLong), DATALENGTH(SessionItemShort)) AS Size, ` + noSeconds +
	` FROM dbo.ASPStateTempSessions WHERE SessionId LIKE @suffix AND SessionId > @after ORDER BY SessionId`

// noSeconds is used on the stock schema, which has no timeouts in seconds; theSeconds on the extension.
const (
	noSeconds  = `0 AS Seconds`
	theSeconds = `CASE WHEN (TimeoutSeconds + 59) / 60 = Timeout THEN TimeoutSeconds ELSE 0 END AS Seconds`
)

// listSecondsText is listText on the extended schema.
var listSecondsText = strings.Replace(listText, noSeconds, theSeconds, 1)

// errNoColumn is SQL Server's number for a column that does not exist.
const errNoColumn = 207

// List implements session.Lister. limit is 1 to 10,000.
func (s *Store) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	limit = min(max(limit, 1), 10_000)
	what := partner.Call{Label: "list"}
	entries, err := do(ctx, s.pair, what, func(ctx context.Context, a *partner.Attempt) ([]session.Entry, error) {
		if err := permitted(ctx, what, a); err != nil {
			return nil, err
		}
		id, err := s.apps.resolve(ctx, what, a, app.Name, false)
		if err != nil {
			return nil, err
		}
		from := ""
		if after != "" {
			from = after.Key(id)
		}
		text := listText
		if a.Extended {
			text = listSecondsText
		}
		entries, err := list(ctx, a, text, app, id, from, limit)
		if errorNumber(err) == errNoColumn { // an extension of an earlier version has no seconds
			return list(ctx, a, listText, app, id, from, limit)
		}
		return entries, err
	})
	if err == session.ErrNotFound { // the application is not registered, so it has no sessions
		return nil, nil
	}
	return entries, err
}

func list(ctx context.Context, a *partner.Attempt, text string, app *session.Application, id session.AppID, after string, limit int) ([]session.Entry, error) {
	rows, err := a.Conn.QueryContext(ctx, text, sql.Named("lockTimeout", lockSeconds(session.Ref{App: app})),
		sql.Named("limit", limit), sql.Named("suffix", "%"+id.Suffix()), sql.Named("after", after))
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
		if err := rows.Scan(&key, &e.Created, &e.Expires, &e.Timeout, &e.Locked, &age, &flags, &e.Expired, &size, &e.Seconds); err != nil {
			return nil, fmt.Errorf("list sessions on %s: %w", a.Partner, err)
		}
		e.ID = session.ID(key[:len(key)-len(id.Suffix())]) // LIKE has checked the suffix
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
