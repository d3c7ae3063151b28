package aspstate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner"
)

// Side is the state of the database on one partner before the installation.
type Side struct {
	Partner partner.Name
	Address string
	Err     error // it did not answer, or the login failed; the rest is then empty

	Exists    bool
	State     string // state_desc
	Writable  bool   // DATABASEPROPERTYEX Updateability is READ_WRITE
	Role      string // mirroring_role_desc; empty: not mirrored, or this login may not see it
	Mirroring string // mirroring_state_desc
}

const lookSide = `SELECT d.state_desc, CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability, ` +
	`m.mirroring_role_desc, m.mirroring_state_desc ` +
	`FROM sys.databases AS d LEFT JOIN sys.database_mirroring AS m ON m.database_id = d.database_id WHERE d.name = @db`

// LookSide reads the state of the database on one partner into s. conn must be in master.
func LookSide(ctx context.Context, conn *sql.Conn, database string, s *Side) error {
	var state, update, role, mirroring sql.NullString
	switch err := conn.QueryRowContext(ctx, lookSide, sql.Named("db", database)).Scan(&state, &update, &role, &mirroring); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return explain(fmt.Errorf("ask what %s is: %w", database, err))
	}
	s.Exists, s.State, s.Role, s.Mirroring = true, state.String, role.String, mirroring.String
	s.Writable = state.String == "ONLINE" && update.String == "READ_WRITE" && role.String != "MIRROR"
	return nil
}

// describe describes the partner in a few words.
func (s Side) describe(database string) string {
	name := fmt.Sprintf("%s (%s)", s.Partner, s.Address)
	switch {
	case s.Err != nil:
		return fmt.Sprintf("%s does not answer: %v", name, s.Err)
	case !s.Exists:
		return fmt.Sprintf("%s has no database %s", name, database)
	case s.Role == "MIRROR" || s.Role == "" && s.State == "RESTORING":
		return name + " is the mirror, or is being restored"
	case s.Role == "PRINCIPAL" && !s.Writable:
		return fmt.Sprintf("%s is the principal and %s", name, strings.ToLower(s.State))
	case !s.Writable:
		return fmt.Sprintf("%s is %s and not writable", name, strings.ToLower(s.State))
	}
	return name + " is writable"
}

// Choose returns the index of the partner to install on: the principal, or else the one that has the database, or the
// first one if neither has it. If on is "a" or "b", it is that partner, or an error if nothing can be installed there.
// The error is a *Refusal.
func Choose(sides [2]Side, database string, on partner.Name) (int, error) {
	both := sides[0].describe(database) + "; " + sides[1].describe(database)
	var writable []int
	principal := -1
	for i, s := range sides {
		if s.Writable {
			writable = append(writable, i)
		}
		if s.Writable && s.Role == "PRINCIPAL" {
			principal = i
		}
	}
	if on != "" {
		return insist(sides, database, on, principal)
	}
	switch {
	case principal >= 0:
		return principal, nil
	case len(writable) == 1:
		return writable[0], nil
	case len(writable) == 2:
		return -1, refuse("both partners have a writable database %s, which is not mirrored: choose one with --on a or --on b", database)
	case sides[0].Exists || sides[1].Exists:
		return -1, refuse("no partner is the principal of %s, and on a mirror nothing can be installed: %s", database, both)
	case sides[0].Err != nil || sides[1].Err != nil:
		return -1, refuse("the partner that has %s is not known: %s. If there is no such database yet, choose where to create it with --on a or --on b", database, both)
	}
	return 0, nil
}

// insist returns the index of the partner that was named, or an error if it cannot be used.
func insist(sides [2]Side, database string, on partner.Name, principal int) (int, error) {
	for i, s := range sides {
		switch {
		case s.Partner != on:
			continue
		case s.Err != nil, s.Exists && !s.Writable:
			return -1, refuse("on %s nothing can be installed: %s; %s", on, s.describe(database), sides[1-i].describe(database))
		case !s.Exists && sides[1-i].Exists:
			return -1, refuse("%s; a second one of that name on %s would be another database. Set up mirroring instead: mirrorstate pair setup",
				sides[1-i].describe(database), on)
		case principal >= 0 && principal != i:
			return -1, refuse("%s is not the principal: %s", on, sides[principal].describe(database))
		}
		return i, nil
	}
	return -1, refuse("there is no partner %q", on)
}
