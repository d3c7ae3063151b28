package aspstate

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// appIDs remembers the ids of applications. An id is asked for anew when the
// principal or its epoch is another: after a forced failover the registration
// may be gone, or be somebody else's.
type appIDs struct {
	known sync.Map // name → knownApp
	seen  lastSeen
}

type knownApp struct {
	id      session.AppID
	epoch   int64
	partner partner.Name
}

// resolve answers the id of an application by its lower-cased name. An
// application that has none is registered, or has no sessions: ErrNotFound.
func (k *appIDs) resolve(ctx context.Context, a *partner.Attempt, name string, register bool) (session.AppID, error) {
	k.seen.note(a)
	if v, ok := k.known.Load(name); ok {
		if app := v.(knownApp); app.epoch == a.Epoch && app.partner == a.Partner {
			return app.id, nil
		}
	}
	ask := getAppID
	if !a.Extended {
		ask = tempGetAppID
	}
	id, err := ask(ctx, a, name, register)
	if err != nil {
		return 0, err
	}
	k.known.Store(name, knownApp{id: id, epoch: a.Epoch, partner: a.Partner})
	return id, nil
}

// getAppID asks the extended schema, which registers only when told to.
func getAppID(ctx context.Context, a *partner.Attempt, name string, register bool) (session.AppID, error) {
	var (
		result int32
		id     sql.NullInt32
	)
	args := []any{sql.Named("appName", name), sql.Named("epoch", a.Epoch), sql.Named("register", register)}
	err := lastRow(ctx, a, "dbo.MirrorState_GetAppId_1", args, func(rows *sql.Rows) error { return rows.Scan(&result, &id) })
	if err != nil {
		return 0, err
	}
	if err := (&answer{result: result}).err(a.Partner); err != nil {
		return 0, err
	}
	if !id.Valid {
		return 0, session.ErrNotFound
	}
	return session.AppID(id.Int32), nil
}

// tempGetAppID asks the stock schema, which registers whoever is asked for.
func tempGetAppID(ctx context.Context, a *partner.Attempt, name string, _ bool) (session.AppID, error) {
	const procedure = "dbo.TempGetAppID"
	var id sql.NullInt32
	_, err := a.Conn.ExecContext(ctx, procedure, sql.Named("appName", name), sql.Named("appId", sql.Out{Dest: &id}))
	if err != nil {
		return 0, fmt.Errorf("call %s on %s: %w", procedure, a.Partner, err)
	}
	if !id.Valid {
		return 0, fmt.Errorf("%s on %s answered no id for %q", procedure, a.Partner, name)
	}
	return session.AppID(id.Int32), nil
}
