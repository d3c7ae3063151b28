package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect opens a pool to a partner's database.
func connect(t testing.TB, p *embedded.Partner, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", p.ConnectionString(database))
	if err != nil {
		t.Fatalf("open %s: %v", p.Name(), err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the pool: %v", err)
		}
	})
	return db
}

// limit limits the time of a test.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// numbers returns the error numbers of a server's error.
func numbers(err error) []int32 {
	var e mssql.Error
	if !errors.As(err, &e) {
		return nil
	}
	var list []int32
	for _, one := range e.All {
		list = append(list, one.Number)
	}
	if len(list) == 0 {
		list = append(list, e.Number)
	}
	return list
}

// mustExec runs a text.
func mustExec(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(limit(t), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// scalar reads one value.
func scalar[T any](t testing.TB, db *sql.DB, text string, args ...any) T {
	t.Helper()
	var v T
	if err := db.QueryRowContext(limit(t), text, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
