package aspstate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// appIDs caches the ids of applications. It looks an id up again when the principal or its epoch changes: after a forced
// failover the registration may be lost, or the id may belong to another application.
type appIDs struct {
	known sync.Map // name → knownApp
	seen  lastSeen
}

type knownApp struct {
	id      session.AppID
	epoch   int64
	partner partner.Name
}

// resolve returns the id of an application by its lower-cased name. If the application is not registered, resolve
// registers it, or without register returns ErrNotFound.
//
// To register an application that this process does not know, the call needs the permission. A stock schema registers
// every application that is looked up, so there the permission is checked before any look-up.
func (k *appIDs) resolve(ctx context.Context, what partner.Call, a *partner.Attempt, name string, register bool) (session.AppID, error) {
	k.seen.note(a)
	v, met := k.known.Load(name)
	if met {
		if app := v.(knownApp); app.epoch == a.Epoch && app.partner == a.Partner {
			return app.id, nil
		}
	}
	id, err := k.ask(ctx, what, a, name, register, met)
	if err != nil {
		return 0, err
	}
	k.known.Store(name, knownApp{id: id, epoch: a.Epoch, partner: a.Partner})
	return id, nil
}

// ask asks the database. met means that this process knows that the application was registered.
func (k *appIDs) ask(ctx context.Context, what partner.Call, a *partner.Attempt, name string, register, met bool) (session.AppID, error) {
	p := session.PermissionOf(ctx)
	asks := p != nil && !met
	if a.Extended && asks && register {
		id, err := getAppID(ctx, a, name, false)
		if !errors.Is(err, session.ErrNotFound) {
			return id, err
		}
	}
	if asks && (register || !a.Extended) {
		if err := p.MayRegister(name); err != nil {
			return 0, refused(err, what, a)
		}
	}
	if a.Extended {
		return getAppID(ctx, a, name, register)
	}
	return tempGetAppID(ctx, a, name)
}

// getAppID asks the extended schema, which registers an application only with register.
func getAppID(ctx context.Context, a *partner.Attempt, name string, register bool) (session.AppID, error) {
	type appRow struct {
		result int64
		id     sql.Null[int64]
	}
	args := []driver.NamedValue{arg("appName", name), arg("epoch", a.Epoch), arg("register", register)}
	app, err := lastRow(ctx, a, "dbo.MirrorState_GetAppId_1", args, func(r *row) appRow { return appRow{next[int64](r).V, next[int64](r)} })
	if err != nil {
		return 0, collision(err)
	}
	if err := (&answer{result: app.result}).err(a.Partner); err != nil {
		return 0, err
	}
	if !app.id.Valid {
		return 0, session.ErrNotFound
	}
	return session.AppID(int32(app.id.V)), nil
}

// tempGetAppID asks the stock schema, which registers every application that is looked up.
func tempGetAppID(ctx context.Context, a *partner.Attempt, name string) (session.AppID, error) {
	const procedure = "dbo.TempGetAppID"
	var id sql.NullInt32
	_, err := a.Conn.ExecContext(ctx, procedure, sql.Named("appName", name), sql.Named("appId", sql.Out{Dest: &id}))
	if err != nil {
		return 0, fmt.Errorf("call %s on %s: %w", procedure, a.Partner, collision(err))
	}
	if !id.Valid {
		return 0, fmt.Errorf("%s on %s returned no id for %q", procedure, a.Partner, name)
	}
	return session.AppID(id.Int32), nil
}

// collision adds session.ErrCollision to the error of TempGetAppID for two names with the same hash: 2627 on the table of
// applications, followed by 50000. Two calls that register the same name do not cause it, because the procedure looks up
// and inserts under TABLOCKX.
func collision(err error) error {
	if slices.Contains(errorNumbers(err), 2627) {
		return fmt.Errorf("%w: %w", session.ErrCollision, err)
	}
	return err
}
