package storetest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// The statements of [NewAge]. Created does not change: it identifies the session.
const (
	ageStock = `UPDATE dbo.ASPStateTempSessions SET
Expires = DATEADD(second, @seconds, Expires),
LockDate = DATEADD(second, @seconds, LockDate),
LockDateLocal = DATEADD(second, @seconds, LockDateLocal)
WHERE SessionId = @id`

	ageExtension = `UPDATE dbo.ASPStateTempSessions SET
OperationDate1 = DATEADD(second, @seconds, OperationDate1),
OperationDate2 = DATEADD(second, @seconds, OperationDate2),
OperationDate3 = DATEADD(second, @seconds, OperationDate3),
OperationDate4 = DATEADD(second, @seconds, OperationDate4),
OperationsForgotten = DATEADD(second, @seconds, OperationsForgotten)
WHERE SessionId = @id`
)

// NewAge makes a [Subject].Age for ASPState tables. db is a go-mssqldb pool on the principal's database that may
// write to the tables. Only whole seconds count.
func NewAge(db *sql.DB, extended bool) func(t *testing.T, ref session.Ref, d time.Duration) {
	statements := []string{ageStock}
	if extended {
		statements = append(statements, ageExtension)
	}
	return func(t *testing.T, ref session.Ref, d time.Duration) {
		t.Helper()
		for _, statement := range statements {
			ageBy(t, db, ref, statement, d)
		}
	}
}

// olderStatement is the statement of [NewOlder].
const olderStatement = `UPDATE dbo.ASPStateTempSessions SET Created = DATEADD(second, @seconds, Created) WHERE SessionId = @id`

// NewOlder returns a [Subject.Older] for a store on ASPState. It keeps db and does not close it.
func NewOlder(db *sql.DB) func(t *testing.T, ref session.Ref) {
	return func(t *testing.T, ref session.Ref) {
		t.Helper()
		ageBy(t, db, ref, olderStatement, 2*time.Second)
	}
}

func ageBy(t *testing.T, db *sql.DB, ref session.Ref, statement string, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	app, err := NewNetClient(db).AppID(ctx, ref.App.Name)
	if err != nil {
		t.Fatalf("ageing a session: %v", err)
	}
	if _, err := db.ExecContext(ctx, statement, sql.Named("id", ref.ID.Key(app)), sql.Named("seconds", int32(-d/time.Second))); err != nil {
		t.Fatalf("ageing a session: %v", err)
	}
}
