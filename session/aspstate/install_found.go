package aspstate

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// Found is what a database has before an installation. Names are in lower case.
type Found struct {
	Server  string // @@SERVERNAME
	Version string // ProductVersion
	Exists  bool   // the database exists
	Assumed bool   // for a dry run: no server was asked

	Tables     map[string]bool
	Procedures map[string]string // with their texts; "" if the login may not see the text
	Flags      bool              // ASPStateTempSessions has the column Flags: ASP.NET 2.0 or later
	Columns    []string          // the columns of the extension that exist
	TempTables bool              // tempdb has ASPStateTempSessions
	EpochRow   bool
	SweepRow   bool
	Obstacles  []Obstacle // additions to these tables that are not supported

	Role    bool            // InstallRole exists
	Granted map[string]bool // the rights of InstallRole: "EXECUTE dbo.name", in lower case
	Login   bool            // InstallOptions.Grant exists as a login
	User    string          // the login's user in this database; empty: it has none
	Orphan  bool            // a user with the login's name belongs to another login
	Member  bool            // the login's user is a member of InstallRole

	Unread []error // of LookPartly: the errors of what the server refused to show
}

// Obstacle is something that was added to a table of ASPState, or of the extension, and that is not supported.
type Obstacle struct {
	Kind  string // trigger (an enabled one), foreign key, or memory-optimized
	Table string
	Name  string // of the trigger or foreign key
	Other string // the other table of a foreign key
}

// String returns a text that says what is wrong, and how to repair it.
func (o Obstacle) String() string {
	switch o.Kind {
	case obstacleTrigger:
		return fmt.Sprintf("dbo.%s has an enabled trigger %s: statements with OUTPUT, such as an acquire, fail there (334). DISABLE TRIGGER %s ON dbo.%s, or drop it", o.Table, o.Name, quoteName(o.Name), quoteName(o.Table))
	case obstacleKey:
		return fmt.Sprintf("the foreign key %s ties dbo.%s to %s: removals, the sweep or new sessions fail (547). ALTER TABLE … DROP CONSTRAINT %s", o.Name, o.Table, o.Other, quoteName(o.Name))
	}
	return fmt.Sprintf("dbo.%s is memory-optimized: it does not support the lock hints, and a database with such tables can't be mirrored. Use a table on disk", o.Table)
}

const (
	obstacleTrigger = "trigger"
	obstacleKey     = "foreign key"
	obstacleMemory  = "memory-optimized"
)

// extensionColumns are the columns that the extension adds to ASPStateTempSessions.
var extensionColumns = []string{"LockOperationId", "LockOperationCookie", "LockActionFlags",
	"OperationId1", "OperationId2", "OperationId3", "OperationId4",
	"OperationDate1", "OperationDate2", "OperationDate3", "OperationDate4", "OperationsForgotten", "LockCallId", "Settled", "MadeOperationId", "TimeoutSeconds", "TimeoutDate"}

// laterColumns is how many of the extension's columns each earlier version lacks.
var laterColumns = []int{5, 2}

// earlier reports whether the extension's columns are those of an earlier version.
func (f Found) earlier() bool {
	return slices.ContainsFunc(laterColumns, func(missing int) bool {
		return slices.Equal(f.Columns, extensionColumns[:len(extensionColumns)-missing])
	})
}

// TempType reports whether the install is of the tempdb type: it has the procedures without their tables.
func (f Found) TempType() bool {
	_, reads := f.Procedures["tempgetstateitem"]
	return reads && !f.Tables["aspstatetempsessions"]
}

// Extended reports whether every part of the extension exists, whatever the texts of its procedures.
func (f Found) Extended() bool {
	p, err := readParts()
	if err != nil {
		return false
	}
	for _, t := range p.ownTables {
		if !f.Tables[strings.ToLower(t.name)] {
			return false
		}
	}
	for _, name := range p.extended {
		if _, stands := f.Procedures[strings.ToLower(name)]; !stands {
			return false
		}
	}
	return len(f.Columns) == len(extensionColumns) && f.EpochRow && f.SweepRow
}

// Kind returns one word for what was found: nothing (no database), empty, stock, extended, partial (an incomplete
// extension), or tempdb.
func (f Found) Kind() string {
	own := len(f.Columns) > 0
	for name := range f.Tables {
		own = own || strings.HasPrefix(name, "mirrorstate")
	}
	for name := range f.Procedures {
		own = own || strings.HasPrefix(name, "mirrorstate_")
	}
	switch {
	case !f.Exists:
		return "nothing"
	case f.Extended():
		return "extended"
	case f.TempType():
		return "tempdb"
	case own:
		return "partial"
	case f.Tables["aspstatetempsessions"]:
		return "stock"
	}
	return "empty"
}

// Assume returns what a dry run without a server assumes: nothing, a stock ASPState made by aspnet_regsql -sstype p,
// or one with the extension.
func Assume(what string) (Found, error) {
	f := Found{Assumed: true, Tables: map[string]bool{}, Procedures: map[string]string{}, Granted: map[string]bool{}}
	p, err := readParts()
	if err != nil {
		return f, err
	}
	switch what {
	case "nothing":
		return f, nil
	case "stock", "extended":
	default:
		return f, fmt.Errorf("%q is neither nothing, stock nor extended", what)
	}
	f.Exists, f.Flags = true, true
	f.Tables["aspstatetempsessions"], f.Tables["aspstatetempapplications"] = true, true
	for _, name := range p.stock {
		f.Procedures[strings.ToLower(name)] = "" // unknown: Microsoft's text, or ours
	}
	if what == "extended" {
		for _, t := range p.ownTables {
			f.Tables[strings.ToLower(t.name)] = true
		}
		for _, name := range p.extended {
			f.Procedures[strings.ToLower(name)] = p.create[strings.ToLower(name)].Text
		}
		f.EpochRow, f.SweepRow, f.Columns = true, true, extensionColumns
	}
	return f, nil
}

// withoutSessions returns f after both stock tables were dropped.
func (f Found) withoutSessions() Found {
	tables := map[string]bool{}
	for name := range f.Tables {
		tables[name] = name != "aspstatetempsessions" && name != "aspstatetempapplications"
	}
	f.Tables, f.Columns, f.Flags = tables, nil, true
	return f
}

// grantLine matches a GRANT: the permission, and the object.
var grantLine = regexp.MustCompile(`(?m)^GRANT (\w+) ON (\S+) TO `)

// grantedAll reports whether the role has all the rights that the script grants.
func (f Found) grantedAll(script []schema.Batch) bool {
	for _, b := range script {
		for _, g := range grantLine.FindAllStringSubmatch(b.Text, -1) {
			if !f.Granted[strings.ToLower(g[1]+" "+g[2])] {
				return false
			}
		}
	}
	return true
}

// The queries of an installation. lookServer is asked in master, the others in the database.
//
// SUSER_SID also finds a Windows account that is not a login here; CREATE USER would fail for it (15007). So a login exists
// if it has a row in sys.server_principals. If this login may not see other logins' rows, the result of SUSER_SID is used.
const (
	lookServer = `SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS version, ` +
		`CASE WHEN DB_ID(@db) IS NULL THEN 0 ELSE 1 END AS there, ` +
		`CASE WHEN OBJECT_ID(N'tempdb.dbo.ASPStateTempSessions', N'U') IS NULL THEN 0 ELSE 1 END AS in_tempdb, ` +
		`CASE WHEN EXISTS (SELECT l.principal_id FROM sys.server_principals AS l WHERE l.name = @login AND l.type <> 'R') THEN 1 ` +
		`WHEN HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION') = 1 THEN 0 ` +
		`WHEN SUSER_SID(@login) IS NULL THEN 0 ELSE 1 END AS login`

	// For a server whose logins cannot be read, if no login is needed.
	lookServerAlone = `SELECT @@SERVERNAME AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS version, ` +
		`CASE WHEN DB_ID(@db) IS NULL THEN 0 ELSE 1 END AS there, ` +
		`CASE WHEN OBJECT_ID(N'tempdb.dbo.ASPStateTempSessions', N'U') IS NULL THEN 0 ELSE 1 END AS in_tempdb, 0 AS login`

	lookObjects = `SELECT o.name, o.type, m.definition FROM sys.objects AS o LEFT JOIN sys.sql_modules AS m ON m.object_id = o.object_id ` +
		`WHERE o.type IN ('U', 'P') AND o.schema_id = 1`

	lookRole = `SELECT p.permission_name, o.name FROM sys.database_permissions AS p JOIN sys.objects AS o ON o.object_id = p.major_id ` +
		`JOIN sys.database_principals AS r ON r.principal_id = p.grantee_principal_id WHERE r.name = N'` + InstallRole + `' AND p.state IN ('G', 'W') AND p.class = 1 AND p.minor_id = 0 AND o.schema_id = 1`

	// Only tables with these names matter; other tables are not ours.
	lookTriggers = `SELECT o.name, t.name, N'' AS other FROM sys.triggers AS t JOIN sys.objects AS o ON o.object_id = t.parent_id ` +
		`WHERE t.is_disabled = 0 AND o.schema_id = 1 AND (o.name LIKE N'ASPStateTemp%' OR o.name LIKE N'MirrorState%') ORDER BY o.name, t.name`
	lookKeys = `SELECT o.name, k.name, x.name AS other FROM sys.foreign_keys AS k JOIN sys.objects AS o ON o.object_id = k.referenced_object_id OR o.object_id = k.parent_object_id ` +
		`JOIN sys.objects AS x ON (x.object_id = k.referenced_object_id OR x.object_id = k.parent_object_id) AND (x.object_id <> o.object_id OR k.referenced_object_id = k.parent_object_id) ` +
		`WHERE k.is_disabled = 0 AND o.schema_id = 1 AND (o.name LIKE N'ASPStateTemp%' OR o.name LIKE N'MirrorState%') ORDER BY k.name, o.name`
	// The column is_memory_optimized exists since SQL Server 2014.
	lookMemory = `SELECT o.name, N'' AS name, N'' AS other FROM sys.tables AS o ` +
		`WHERE o.is_memory_optimized = 1 AND o.schema_id = 1 AND (o.name LIKE N'ASPStateTemp%' OR o.name LIKE N'MirrorState%') ORDER BY o.name`

	lookUsers = `SELECT u.name, CASE WHEN u.sid = SUSER_SID(@login) THEN 1 ELSE 0 END AS its, ` +
		`CASE WHEN EXISTS (SELECT m.member_principal_id FROM sys.database_role_members AS m JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id ` +
		`WHERE r.name = N'` + InstallRole + `' AND m.member_principal_id = u.principal_id) THEN 1 ELSE 0 END AS member ` +
		`FROM sys.database_principals AS u WHERE u.sid = SUSER_SID(@login) OR u.name = @login`
)

// Look reads the state of a database. conn must be in master; afterwards it is in the database, if that exists. login is
// the login that is to get access; empty: no login.
func Look(ctx context.Context, conn *sql.Conn, database, login string) (Found, error) {
	f, err := LookPartly(ctx, conn, database, login)
	if err == nil && len(f.Unread) > 0 {
		err = fmt.Errorf("look at %s: %w", database, f.Unread[0])
	}
	return f, err
}

// LookPartly is Look for callers that accept incomplete results. If the server refuses to show rows, rights or obstacles, the
// errors are in Found.Unread. Rows that can't be read count as existing.
func LookPartly(ctx context.Context, conn *sql.Conn, database, login string) (Found, error) {
	f := Found{Tables: map[string]bool{}, Procedures: map[string]string{}, Granted: map[string]bool{}}
	server := func(query string, args ...any) error {
		return conn.QueryRowContext(ctx, query, append(args, sql.Named("db", database))...).Scan(&f.Server, &f.Version, &f.Exists, &f.TempTables, &f.Login)
	}
	err := server(lookServer, sql.Named("login", login))
	if err != nil && login == "" && f.refused("logins", err) == nil {
		err = server(lookServerAlone)
	}
	if err != nil {
		return f, fmt.Errorf("look at the server: %w", err)
	}
	if !f.Exists {
		return f, nil
	}
	if _, err := conn.ExecContext(ctx, "USE "+quoteName(database)); err != nil {
		return f, fmt.Errorf("open %s: %w", database, err)
	}
	for _, look := range []func(context.Context, *sql.Conn) error{f.lookObjects, f.lookColumns, f.lookRows, f.lookRole, f.lookObstacles} {
		if err := look(ctx, conn); err != nil {
			return f, fmt.Errorf("look at %s: %w", database, err)
		}
	}
	if login != "" {
		if err := f.lookUsers(ctx, conn, login); err != nil {
			return f, fmt.Errorf("look at %s: %w", database, err)
		}
	}
	return f, nil
}

// eachRow calls each for every row of a query.
func eachRow(ctx context.Context, conn *sql.Conn, each func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (f *Found) lookObjects(ctx context.Context, conn *sql.Conn) error {
	return eachRow(ctx, conn, func(rows *sql.Rows) error {
		var (
			name, kind string
			text       sql.NullString
		)
		if err := rows.Scan(&name, &kind, &text); err != nil {
			return err
		}
		if strings.TrimSpace(kind) == "U" {
			f.Tables[strings.ToLower(name)] = true
		} else {
			f.Procedures[strings.ToLower(name)] = text.String
		}
		return nil
	}, lookObjects)
}

// lookObstacles finds additions to the tables that are not supported.
func (f *Found) lookObstacles(ctx context.Context, conn *sql.Conn) error {
	major, _ := strconv.Atoi(strings.SplitN(f.Version, ".", 2)[0])
	for _, look := range []struct {
		kind, what, query string
		since             int
	}{{obstacleTrigger, "triggers", lookTriggers, 0}, {obstacleKey, "foreign keys", lookKeys, 0}, {obstacleMemory, "memory-optimized tables", lookMemory, 12}} {
		if major < look.since {
			continue
		}
		err := eachRow(ctx, conn, func(rows *sql.Rows) error {
			o := Obstacle{Kind: look.kind}
			err := rows.Scan(&o.Table, &o.Name, &o.Other)
			if last := len(f.Obstacles) - 1; last >= 0 && o.Kind == obstacleKey && f.Obstacles[last].Table == o.Other && f.Obstacles[last].Name == o.Name {
				return err // the same key, found from its other table
			}
			f.Obstacles = append(f.Obstacles, o)
			return err
		}, look.query)
		if err := f.refused(look.what, err); err != nil {
			return err
		}
	}
	return nil
}

// refused returns err, unless the server refused to show something: then it records err in Unread and returns nil.
func (f *Found) refused(what string, err error) error {
	if err == nil || errorNumber(err) == 0 {
		return err
	}
	f.Unread = append(f.Unread, fmt.Errorf("%s: %w", what, err))
	return nil
}

func (f *Found) lookColumns(ctx context.Context, conn *sql.Conn) error {
	const one = `SELECT COL_LENGTH(N'dbo.ASPStateTempSessions', @column) AS length`
	for _, column := range append([]string{"Flags"}, extensionColumns...) {
		var length sql.NullInt64
		if err := conn.QueryRowContext(ctx, one, sql.Named("column", column)).Scan(&length); err != nil {
			return err
		}
		switch {
		case !length.Valid:
		case column == "Flags":
			f.Flags = true
		default:
			f.Columns = append(f.Columns, column)
		}
	}
	return nil
}

// lookRows checks whether the two tables of the extension that have one row have it.
func (f *Found) lookRows(ctx context.Context, conn *sql.Conn) error {
	for table, there := range map[string]*bool{"MirrorStateEpoch": &f.EpochRow, "MirrorStateSweep": &f.SweepRow} {
		if !f.Tables[strings.ToLower(table)] {
			continue
		}
		err := eachRow(ctx, conn, func(*sql.Rows) error { *there = true; return nil }, "SELECT Id FROM dbo."+table+" WHERE Id = 1")
		if err != nil {
			*there = true // unknown, so it counts as existing
		}
		if err := f.refused("the row of "+table, err); err != nil {
			return err
		}
	}
	return nil
}

func (f *Found) lookRole(ctx context.Context, conn *sql.Conn) error {
	var id sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT DATABASE_PRINCIPAL_ID(N'"+InstallRole+"') AS id").Scan(&id); err != nil || !id.Valid {
		return err
	}
	f.Role = true
	return f.refused("the rights of "+InstallRole, eachRow(ctx, conn, func(rows *sql.Rows) error {
		var permission, object string
		err := rows.Scan(&permission, &object)
		f.Granted[strings.ToLower(permission+" dbo."+object)] = true
		return err
	}, lookRole))
}

func (f *Found) lookUsers(ctx context.Context, conn *sql.Conn, login string) error {
	return eachRow(ctx, conn, func(rows *sql.Rows) error {
		var (
			name        string
			its, member bool
		)
		if err := rows.Scan(&name, &its, &member); err != nil {
			return err
		}
		if its {
			f.User, f.Member = name, member
		} else {
			f.Orphan = true
		}
		return nil
	}, lookUsers, sql.Named("login", login))
}
