package tds

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

func TestBatch_ResultSetsAndCounts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 7e6, time.UTC)
	f := &fake{batch: func(_ context.Context, text string, w *Response) error {
		w.DatabaseChanged("ASPState", "master")
		w.Info(&Error{Number: 5000, Message: "between"})
		w.Columns(Column{"id", Int}, Column{"name", NVarChar(20)}, Column{"item", Image}, Column{"at", DateTime}, Column{"on", Bit})
		if err := w.Row(1, "zwölf", []byte{1, 2}, at, true); err != nil {
			return err
		}
		if err := w.Row(nil, nil, nil, nil, nil); err != nil {
			return err
		}
		w.Done(2)
		w.Columns(Column{"n", BigInt})
		return w.Row(int64(1 << 40)) // the package ends the result set
	}}
	rows, err := serve(t, f).QueryContext(bound(t), "select 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var id sql.NullInt64
		var name sql.NullString
		var item []byte
		var when sql.NullTime
		var on sql.NullBool
		if err := rows.Scan(&id, &name, &item, &when, &on); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %v %s %v %v", id.Int64, name.String, item, when.Time.Format(time.RFC3339Nano), on.Bool, id.Valid))
	}
	want := []string{"1 zwölf [1 2] 2026-01-02T03:04:05.007Z true true", "0  [] 0001-01-01T00:00:00Z false false"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !rows.NextResultSet() || !rows.Next() {
		t.Fatalf("no second result set: %v", rows.Err())
	}
	var n int64
	if err := rows.Scan(&n); err != nil || n != 1<<40 {
		t.Errorf("got %d, %v", n, err)
	}
	if rows.Next() || rows.NextResultSet() || rows.Err() != nil {
		t.Errorf("more rows than were sent, or %v", rows.Err())
	}
}

func TestBatch_RowsAffected(t *testing.T) {
	for _, counts := range [][]int64{{}, {3}, {2, 3}, {-1}} {
		f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
			for _, n := range counts {
				w.Done(n)
			}
			return nil
		}}
		res, err := serve(t, f).ExecContext(bound(t), "update t set x = 1; update u set x = 2")
		if err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, n := range counts {
			want += max(n, 0)
		}
		if got, _ := res.RowsAffected(); got != want {
			t.Errorf("counts %v: %d rows affected, want %d", counts, got, want)
		}
	}
}

func TestBatch_RowThatDoesNotFit(t *testing.T) {
	tests := []struct {
		name string
		row  []any
		want string
	}{
		{"too few values", []any{1}, "row of 1 values for 2 columns"},
		{"wrong type", []any{1, 2}, `column "b" (nvarchar(2)): can't hold a int`},
		{"too long", []any{1, "abc"}, `column "b" (nvarchar(2)): value longer`},
		{"out of range", []any{300, "ab"}, `column "a" (tinyint): number out of`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got error
			f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
				w.Columns(Column{"a", TinyInt}, Column{"b", NVarChar(2)})
				got = w.Row(tt.row...)
				return w.Row(7, "ok")
			}}
			var a int
			var b string
			if err := serve(t, f).QueryRowContext(bound(t), "select 1").Scan(&a, &b); err != nil || a != 7 || b != "ok" {
				t.Errorf("the next row: %d, %q, %v", a, b, err)
			}
			if got == nil || !strings.Contains(got.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", got, tt.want)
			}
		})
	}
}

func TestCall_OutputsStatusAndRows(t *testing.T) {
	big := bytes.Repeat([]byte{0, 1, 0xFF}, 10_000)
	var seen *Call
	f := &fake{call: func(_ context.Context, c *Call, w *Response) error {
		seen = c
		w.Columns(Column{"item", Image})
		if err := w.Row(big); err != nil {
			return err
		}
		w.Done(1)
		w.ReturnValue("@locked", Bit, true)
		w.ReturnValue("@cookie", Int, nil)
		w.ReturnValue("@short", VarBinary(7000), big[:7000])
		w.ReturnValue("@long", Image, big)
		w.ReturnStatus(42)
		return nil
	}}
	var (
		status mssql.ReturnStatus
		locked bool
		cookie sql.NullInt64
		short  []byte
		long   []byte
	)
	rows, err := serve(t, f).QueryContext(bound(t), "[ASPState].dbo.TempGetStateItemExclusive3",
		sql.Named("id", "abc"), sql.Named("item", big), sql.Named("empty", []byte{}), sql.Named("null", nil),
		sql.Named("locked", sql.Out{Dest: &locked}), sql.Named("cookie", sql.Out{Dest: &cookie}),
		sql.Named("short", sql.Out{Dest: &short}), sql.Named("long", sql.Out{Dest: &long}), &status)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var item []byte
	for rows.Next() {
		if err := rows.Scan(&item); err != nil {
			t.Fatal(err)
		}
	}
	if rows.Err() != nil || !bytes.Equal(item, big) {
		t.Fatalf("row of %d bytes, %v", len(item), rows.Err())
	}
	if status != 42 || !locked || cookie.Valid || !bytes.Equal(short, big[:7000]) || !bytes.Equal(long, big) {
		t.Errorf("status %d, locked %v, cookie %v, short %d, long %d bytes", status, locked, cookie, len(short), len(long))
	}
	if seen.Name != "[ASPState].dbo.TempGetStateItemExclusive3" || seen.ProcID != 0 || len(seen.Params) != 8 {
		t.Fatalf("call %+v", seen)
	}
	for i, want := range []any{"abc", big, []byte{}, nil} {
		p := seen.Params[i]
		if fmt.Sprintf("%T %v", p.Value, p.Value) != fmt.Sprintf("%T %v", want, want) || p.Output {
			t.Errorf("%s (%v): a %T, want a %T; output %v", p.Name, p.Type, p.Value, want, p.Output)
		}
	}
	if p := seen.Params[4]; p.Name != "@locked" || p.Type != Bit || !p.Output {
		t.Errorf("fifth parameter %+v", p)
	}
}

func TestCall_DefaultStatus(t *testing.T) {
	status := mssql.ReturnStatus(-1)
	if _, err := serve(t, &fake{}).ExecContext(bound(t), "dbo.DoNothing", &status); err != nil || status != 0 {
		t.Errorf("status %d, %v; want 0", status, err)
	}
}

func TestCall_ExecuteSQLComesByNumber(t *testing.T) {
	var seen *Call
	f := &fake{call: func(_ context.Context, c *Call, w *Response) error { seen = c; w.Done(1); return nil }}
	res, err := serve(t, f).ExecContext(bound(t), "update t set x = @p1, y = @p2", int64(7), "é")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		t.Errorf("%d rows affected", n)
	}
	if seen.ProcID != ProcExecuteSQL || seen.Name != "" || len(seen.Params) != 4 {
		t.Fatalf("call %+v", seen)
	}
	if seen.Params[0].Value != "update t set x = @p1, y = @p2" || seen.Params[2].Value != int64(7) || seen.Params[3].Value != "é" {
		t.Errorf("params %+v", seen.Params)
	}
}

func TestCall_Types(t *testing.T) {
	at := time.Date(2026, 2, 28, 23, 59, 59, 123456700, time.FixedZone("", 3600))
	id := mssql.UniqueIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	idWire := []byte{4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16}
	tests := []struct {
		name string
		send any
		typ  Type
		want any
	}{
		{"bigint", int64(-5), BigInt, int64(-5)},
		{"int", int32(-5), Int, int64(-5)},
		{"smallint", int16(-5), SmallInt, int64(-5)},
		{"tinyint", uint8(200), TinyInt, int64(200)},
		{"bit", true, Bit, true},
		{"float", 1.5, Float, 1.5},
		{"nvarchar", "añ𝄞", NVarChar(4), "añ𝄞"},
		{"long nvarchar", strings.Repeat("é", 5000), NVarCharMax, strings.Repeat("é", 5000)},
		{"varchar", mssql.VarChar("abc"), VarChar(3), "abc"},
		{"varbinary", []byte{1, 2}, VarBinary(2), []byte{1, 2}},
		{"uniqueidentifier", id, UniqueIdentifier, idWire},
		{"datetimeoffset", at, DateTimeOffset(7), at},
		{"datetime", mssql.DateTime1(at.UTC()), DateTime, time.Date(2026, 2, 28, 22, 59, 59, 123e6, time.UTC)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Param
			f := &fake{call: func(_ context.Context, c *Call, w *Response) error { p = c.Params[0]; return nil }}
			if _, err := serve(t, f).ExecContext(bound(t), "dbo.P", sql.Named("x", tt.send)); err != nil {
				t.Fatal(err)
			}
			if when, ok := tt.want.(time.Time); ok {
				if got, ok := p.Value.(time.Time); !ok || !got.Equal(when) {
					t.Errorf("got %v, want %v", p.Value, when)
				}
			} else if fmt.Sprintf("%T %v", p.Value, p.Value) != fmt.Sprintf("%T %v", tt.want, tt.want) {
				t.Errorf("got %T %v, want %v", p.Value, p.Value, tt.want)
			}
			if p.Type != tt.typ {
				t.Errorf("type %v, want %v", p.Type, tt.typ)
			}
		})
	}
}

func TestError_NumbersAndClasses(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want []int32
	}{
		{"one", &Error{Number: 954, Class: 14, State: 1, Message: "The database is acting as a mirror."}, []int32{954}},
		{"wrapped", fmt.Errorf("run: %w", &Error{Number: 2627, Class: 14, Message: "duplicate"}), []int32{2627}},
		{"several", Errors{{Number: 1, Class: 16}, {Number: 2, Class: 16}}, []int32{1, 2}},
		{"not SQL's", errors.New("oops"), []int32{50000}},
		{"class forgotten", &Error{Number: 7, Message: "x"}, []int32{7}},
	}
	for _, tt := range tests {
		for _, text := range []string{"select 1", "dbo.P"} { // a batch and an RPC
			f := &fake{
				batch: func(context.Context, string, *Response) error { return tt.err },
				call:  func(context.Context, *Call, *Response) error { return tt.err },
			}
			db := serve(t, f)
			_, err := db.ExecContext(bound(t), text)
			if got := sqlNumbers(err); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: numbers %v, want %v (%v)", tt.name, text, got, tt.want, err)
			}
			if n := db.Stats().OpenConnections; n != 1 {
				t.Errorf("%s, %s: %d connections afterwards", tt.name, text, n)
			}
		}
	}
}

func TestError_InTheMiddleOfRows(t *testing.T) {
	f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
		w.Columns(Column{"n", Int})
		if err := w.Row(1); err != nil {
			return err
		}
		return &Error{Number: 1205, Class: 13, Message: "deadlock"}
	}}
	rows, err := serve(t, f).QueryContext(bound(t), "select 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if got := sqlNumbers(rows.Err()); n != 1 || !slices.Equal(got, []int32{1205}) {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}

func TestError_OfOneStatement(t *testing.T) {
	f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
		w.Error(&Error{Number: 547, Class: 16, Message: "conflict"})
		w.Done(1)
		return nil
	}}
	if _, err := serve(t, f).ExecContext(bound(t), "select 1"); !slices.Equal(sqlNumbers(err), []int32{547}) {
		t.Errorf("got %v", err)
	}
}

func TestError_Class20ClosesTheConnection(t *testing.T) {
	f := &fake{batch: func(_ context.Context, text string, _ *Response) error {
		if text == "kill 1" {
			return &Error{Number: 596, Class: 21, Message: "Cannot continue the execution because the session is in the kill state."}
		}
		return nil
	}}
	db := serve(t, f)
	db.SetMaxOpenConns(1)
	_, err := db.ExecContext(bound(t), "kill 1")
	var internal mssql.ServerError
	if !errors.As(err, &internal) || !slices.Equal(sqlNumbers(err), []int32{596}) {
		t.Errorf("got %T %v", err, err)
	}
	if _, err := db.ExecContext(bound(t), "select 1"); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
	if got := len(f.logins); got != 2 {
		t.Errorf("%d logins, want 2", got)
	}
}

func TestError_OutputParameterThatDoesNotFit(t *testing.T) {
	f := &fake{call: func(_ context.Context, _ *Call, w *Response) error {
		w.ReturnValue("@x", VarBinary(2), []byte{1, 2, 3})
		return nil
	}}
	_, err := serve(t, f).ExecContext(bound(t), "dbo.P")
	if !slices.Equal(sqlNumbers(err), []int32{50000}) || !strings.Contains(err.Error(), "@x (varbinary(2))") {
		t.Errorf("got %v", err)
	}
}

func TestTransaction(t *testing.T) {
	f := &fake{}
	db := serve(t, f)
	for _, commit := range []bool{true, false} {
		tx, err := db.BeginTx(bound(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(bound(t), "update t set x = 1"); err != nil {
			t.Fatal(err)
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"reset", "begin", "commit", "reset", "begin", "rollback"}
	if got := f.seen(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestTransaction_RefusedCommit(t *testing.T) {
	f := &fake{commit: func(context.Context) error { return &Error{Number: 3902, Class: 16, Message: "no BEGIN TRANSACTION"} }}
	tx, err := serve(t, f).BeginTx(bound(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !slices.Equal(sqlNumbers(err), []int32{3902}) {
		t.Errorf("got %v", err)
	}
}

func TestTransaction_ByText(t *testing.T) {
	f := &fake{batch: func(_ context.Context, text string, w *Response) error {
		switch text {
		case "BEGIN TRAN":
			w.TransactionBegan(9)
		case "COMMIT":
			w.TransactionEnded(true)
		case "ROLLBACK":
			w.TransactionEnded(false)
		}
		return nil
	}}
	client, _ := dial(t, &Server{Handler: f})
	for _, step := range []struct{ text, want string }{
		{"COMMIT", ""}, // there is no transaction
		{"BEGIN TRAN", "\xE3\x0B\x00\x08\x08\x09\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"COMMIT", "\xE3\x0B\x00\x09\x00\x08\x09\x00\x00\x00\x00\x00\x00\x00"},
		{"BEGIN TRAN", "\xE3\x0B\x00\x08\x08\x09\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"ROLLBACK", "\xE3\x0B\x00\x0A\x00\x08\x09\x00\x00\x00\x00\x00\x00\x00"},
	} {
		reply := ask(t, client, packet(packetBatch, statusFinal, batchBody(step.text)))
		if want := step.want + done(tokenDone, 0, 0, 0); string(reply) != want {
			t.Errorf("%s: % x, want % x", step.text, reply, want)
		}
	}
}

func TestReset_OnEveryCheckout(t *testing.T) {
	f := &fake{}
	db := serve(t, f)
	db.SetMaxOpenConns(1)
	for range 3 {
		if err := db.PingContext(bound(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.seen(); !slices.Equal(got, []string{"reset", "reset", "reset"}) {
		t.Errorf("events %v", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
