package tsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// testNow is the clock of all tests.
var testNow = time.Date(2026, 11, 22, 20, 28, 5, 123_456_700, time.UTC)

// testSchema is the schema of the tables of openTables.
func testSchema(n Name) []Column {
	if !strings.EqualFold(n.Object, "ASPStateTempSessions") {
		return nil
	}
	datetime := TypeSpec{Name: "datetime"}
	return []Column{
		{Name: "SessionId", Type: TypeSpec{Name: "nvarchar", Length: 88}}, {Name: "Created", Type: datetime}, {Name: "Expires", Type: datetime},
		{Name: "LockCookie", Type: TypeSpec{Name: "int"}}, {Name: "Timeout", Type: TypeSpec{Name: "int"}}, {Name: "Locked", Type: TypeSpec{Name: "bit"}},
		{Name: "SessionItemShort", Type: TypeSpec{Name: "varbinary", Length: 7000}},
	}
}

// openTables opens a database in memory with tables like those of ASPState
// and the catalogue.
func openTables(t testing.TB) *sql.DB {
	t.Helper()
	if err := RegisterFunctions(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	for _, text := range []string{
		`CREATE TABLE ASPStateTempSessions (SessionId TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, Created TEXT NOT NULL DEFAULT '2026-01-01 00:00:00.000',
			Expires TEXT NOT NULL, LockCookie INTEGER NOT NULL DEFAULT 1, Timeout INTEGER NOT NULL DEFAULT 20, Locked INTEGER NOT NULL DEFAULT 0, SessionItemShort BLOB)`,
		`CREATE TABLE ASPStateTempApplications (AppId INTEGER NOT NULL PRIMARY KEY, AppName TEXT COLLATE NOCASE NOT NULL)`,
		`CREATE TABLE MirrorStateEpoch (Epoch INTEGER, Server TEXT COLLATE NOCASE)`,
		`INSERT INTO MirrorStateEpoch VALUES (7, 'PARTNERA')`,
		`CREATE TABLE sys_databases (name TEXT COLLATE NOCASE, database_id INTEGER, state_desc TEXT COLLATE NOCASE, is_read_only INTEGER, user_access_desc TEXT COLLATE NOCASE)`,
		`INSERT INTO sys_databases VALUES ('master', 1, 'ONLINE', 0, 'MULTI_USER'), ('ASPState', 5, 'ONLINE', 0, 'MULTI_USER')`,
		`CREATE TABLE sys_database_mirroring (database_id INTEGER, mirroring_guid TEXT, mirroring_role_desc TEXT COLLATE NOCASE, mirroring_state_desc TEXT COLLATE NOCASE,
			mirroring_role_sequence INTEGER, mirroring_safety_level_desc TEXT, mirroring_partner_name TEXT, mirroring_partner_instance TEXT, mirroring_witness_state_desc TEXT)`,
		`INSERT INTO sys_database_mirroring VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
			(5, '6F9619FF-8B86-D011-B42D-00C04FC964FF', 'PRINCIPAL', 'SYNCHRONIZED', 3, 'FULL', 'TCP://b:5022', 'B', 'CONNECTED')`,
		`CREATE TABLE sys_databasepropertyex (database_name TEXT, property TEXT, value)`,
		`INSERT INTO sys_databasepropertyex VALUES ('ASPState', 'Updateability', 'READ_WRITE'), ('ASPState', 'HasDBAccess', 1), ('ASPState', 'Status', 'ONLINE')`,
		`CREATE TABLE sys_sysobjects (name TEXT COLLATE NOCASE, type TEXT COLLATE NOCASE, id INTEGER)`,
		`INSERT INTO sys_sysobjects VALUES ('TempGetVersion', 'P', 12)`,
		`CREATE TABLE information_schema_tables (table_name TEXT COLLATE NOCASE)`,
		`INSERT INTO information_schema_tables VALUES ('ASPStateTempSessions')`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return db
}

// addSessions inserts sessions s1, s2, … into the table, each a minute later than the one
// before.
func addSessions(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		_, err := db.Exec(`INSERT INTO ASPStateTempSessions (SessionId, Expires, LockCookie, SessionItemShort) VALUES (?, ?, ?, ?)`,
			fmt.Sprintf("s%d", i), FormatDateTime(testNow.Add(time.Duration(i)*time.Minute)), i, make([]byte, i))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// session is a caller of the package: it provides variables and system values.
type session struct {
	db        *sql.DB
	variables map[string]any
}

func (s *session) bind(in Inputs) ([]any, error) {
	return in.Bind(func(name string) (any, error) {
		v, ok := s.variables[name]
		if !ok {
			return nil, fmt.Errorf("must declare the scalar variable %q", name)
		}
		return v, nil
	}, s.system)
}

// system returns a value that shows the name and the arguments of the system call.
func (s *session) system(call SystemCall) (any, error) {
	if v, ok := ClockValue(call.Name, testNow); ok {
		return v, nil
	}
	switch call.Name {
	case "@@SPID":
		return int64(51), nil
	case "@@SERVERNAME":
		return "PARTNERA", nil
	case "DB_NAME":
		return "ASPState", nil
	}
	answer := call.Name
	for _, arg := range call.Args {
		args, err := s.bind(arg.Inputs)
		if err != nil {
			return nil, err
		}
		var v any
		if err := s.db.QueryRow("SELECT "+arg.SQL, args...).Scan(&v); err != nil {
			return nil, err
		}
		answer += fmt.Sprintf(" %v", v)
	}
	return answer, nil
}

// query runs a query and returns its rows as text, values separated by "|" and rows by ";",
// NULL as "NULL".
func (s *session) query(ctx context.Context, q *Query) (names []string, result string, err error) {
	args, err := s.bind(q.Inputs)
	if err != nil {
		return nil, "", err
	}
	if q.Kind != Select {
		done, err := s.db.ExecContext(ctx, q.SQL, args...)
		if err != nil {
			return nil, "", err
		}
		n, err := done.RowsAffected()
		return nil, fmt.Sprint(n), err
	}
	rows, err := s.db.QueryContext(ctx, q.SQL, args...)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	if names, err = rows.Columns(); err != nil {
		return nil, "", err
	}
	var lines []string
	for rows.Next() {
		values := make([]any, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, "", err
		}
		texts := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				texts[i] = "NULL"
			case []byte:
				texts[i] = fmt.Sprintf("0x%x", v)
			default:
				texts[i] = fmt.Sprint(v)
			}
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	return names, strings.Join(lines, ";"), rows.Err()
}

// one parses a batch of exactly one statement of type S.
func one[S Statement](t *testing.T, batch string) S {
	t.Helper()
	statements, err := Parse(batch)
	if err != nil {
		t.Fatalf("Parse(%q): %v", batch, err)
	}
	if len(statements) != 1 {
		t.Fatalf("Parse(%q): %d statements, want 1", batch, len(statements))
	}
	s, ok := statements[0].(S)
	if !ok {
		t.Fatalf("Parse(%q): a %T", batch, statements[0])
	}
	return s
}

// asError returns the *Error in err.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is not an *Error", err)
	}
	return e
}
