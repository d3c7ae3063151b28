package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// runBody runs a procedure with one output parameter, @out nvarchar(200). It returns its value, what was sent to the
// client, and the error.
func runBody(ctx context.Context, t *testing.T, p *Partner, body string) (out any, sent string, err error) {
	t.Helper()
	stranger, err := newProcedure("CREATE PROCEDURE dbo.Stranger @out nvarchar(200) OUTPUT AS\n"+body, p.Main().Store.Committed().Columns)
	if err != nil {
		return nil, "", err
	}
	r, err := (&session{p: p, database: mirror.DatabaseName, lockTimeout: -1, spent: maxStatements - 100_000}).runProcedure(ctx, stranger, p.Main(), sqlvalue.Arguments{{}})
	if r == nil {
		return nil, "", err
	}
	var b strings.Builder
	for _, st := range r.steps {
		switch {
		case st.err != nil:
			fmt.Fprintf(&b, "[%d %d]", st.err.Number, st.err.Class)
		case st.columns != nil:
			fmt.Fprintf(&b, "%v", st.rows)
		default:
			fmt.Fprintf(&b, "(%d)", st.count)
		}
	}
	if err != nil {
		return nil, b.String(), err
	}
	return r.outputs[0], b.String(), nil
}

// The effects of a procedure's statements. Source: the manual's Transact-SQL reference, under each statement's name.
func TestExecution(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	const insert = "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES "
	for name, c := range map[string]struct {
		body string
		out  any
		sent string
		err  int32
	}{
		"WHILE, BREAK and CONTINUE": {body: "DECLARE @i int = 0 SET @out = '' WHILE @i < 10 BEGIN SET @i += 1 IF @i = 2 CONTINUE IF @i = 5 BREAK SET @out = @out + CONVERT(varchar(2), @i) END", out: "134"},
		"WHILE within WHILE":        {body: "DECLARE @i int = 0, @j int SET @out = '' WHILE @i < 2 BEGIN SET @i += 1 SET @j = 0 WHILE 1 = 1 BEGIN SET @j += 1 IF @j > 2 BREAK SET @out = @out + 'x' END END", out: "xxxx"},
		"a DECLARE in a loop":       {body: "DECLARE @i int = 0 WHILE @i < 3 BEGIN DECLARE @n int IF @n IS NULL SET @n = 0 SET @n += 1 SET @i += 1 END SET @out = @n", out: "3"},
		"RETURN":                    {body: "SET @out = 'a' RETURN 3 SET @out = 'b'", out: "a"},
		"@@ROWCOUNT":                {body: insert + "(1, 'a'), (2, 'b') SET @out = @@ROWCOUNT", out: "2", sent: "(2)"},
		"NOCOUNT":                   {body: "SET NOCOUNT ON " + insert + "(1, 'a')", sent: ""},
		"TRY and CATCH": {body: "BEGIN TRY " + insert + "(1, 'a') " + insert + "(1, 'b') SET @out = 'not here' END TRY BEGIN CATCH SET @out = CONVERT(varchar(9), ERROR_NUMBER()) + ' ' + CONVERT(varchar(9), ERROR_SEVERITY()) + ' ' + ERROR_PROCEDURE() END CATCH",
			out: "2627 14 Stranger", sent: "(1)"},
		"a division by zero ends its statement":          {body: "DECLARE @i int SET @i = 1 / 0 SET @out = @@ERROR", out: "8134", sent: "[8134 16]"},
		"THROW of an error that ends only its statement": {body: "BEGIN TRY " + insert + "(1, 'a'), (1, 'b') END TRY BEGIN CATCH IF 1 = 1 BEGIN THROW END END CATCH SET @out = 'not here'", err: 2627},
		"THROW of 50000":                           {body: "IF 1 = 1 THROW 50000, 'mine', 1 SET @out = 'not here'", err: 50000},
		"THROW again":                              {body: "BEGIN TRY DECLARE @i int = 1 / 0 END TRY BEGIN CATCH THROW END CATCH", err: 8134},
		"THROW in the caller's TRY":                {body: "BEGIN TRY THROW 50001, 'mine', 2 END TRY BEGIN CATCH SET @out = ERROR_MESSAGE() + CONVERT(varchar(9), ERROR_STATE()) END CATCH", out: "mine2"},
		"an error ends its statement":              {body: insert + "(1, 'a') " + insert + "(1, 'b') SET @out = @@ERROR", out: "2627", sent: "(1)[2627 14]"},
		"under XACT_ABORT an error ends the batch": {body: "SET XACT_ABORT ON " + insert + "(1, 'a') " + insert + "(1, 'b') SET @out = 'not here'", err: 2627},
		"a failed conversion ends the batch":       {body: "SET @out = CONVERT(int, 'x') SET @out = 'not here'", err: 245},
		"the batch continues after RAISERROR":      {body: "RAISERROR('no %s and %s', 16, 1, 'this', 'that') SET @out = @@ERROR", out: "50000", sent: "[50000 16]"},
		"RAISERROR in TRY":                         {body: "BEGIN TRY RAISERROR('no %s', 16, 1, 'this') END TRY BEGIN CATCH SET @out = ERROR_MESSAGE() END CATCH", out: "no this"},
		"ROLLBACK":                                 {body: insert + "(1, 'a') BEGIN TRANSACTION " + insert + "(2, 'b') ROLLBACK TRANSACTION SELECT @out = COUNT(*) FROM ASPStateTempApplications", out: "1", sent: "(1)(1)"},
		"nested transactions": {body: "DECLARE @n int BEGIN TRANSACTION BEGIN TRANSACTION SET @n = @@TRANCOUNT COMMIT " + insert + "(2, 'b') ROLLBACK SELECT @out = CONVERT(varchar(9), @n) + ' ' + CONVERT(varchar(9), COUNT(*)) + ' ' + CONVERT(varchar(9), @@TRANCOUNT) FROM ASPStateTempApplications",
			out: "2 0 0", sent: "(1)"},
		"COMMIT without a transaction": {body: "COMMIT SET @out = @@ERROR", out: "3902", sent: "[3902 16]"},
		"OUTPUT of a DELETE":           {body: insert + "(1, 'a'), (2, 'b') DELETE ASPStateTempApplications OUTPUT deleted.AppId, deleted.AppName AS Name WHERE AppId = 2", sent: "(2)[[2 b]]"},
		"OUTPUT of an UPDATE":          {body: insert + "(1, 'a'), (2, 'b') UPDATE ASPStateTempApplications SET AppName = 'c' OUTPUT deleted.AppName, inserted.AppName, inserted.AppId", sent: "(2)[[a c 1] [b c 2]]"},
		"OUTPUT of an INSERT":          {body: insert[:len(insert)-len("VALUES ")] + "OUTPUT inserted.AppId VALUES (7, 'x')", sent: "[[7]]"},
		"OUTPUT INTO a table variable": {body: "DECLARE @t TABLE (n int NOT NULL, s varchar(9)) " + insert + "(1, 'a'), (2, 'b') DELETE ASPStateTempApplications OUTPUT deleted.AppId, 'gone' INTO @t (n, s) WHERE AppId = 1 SELECT @out = s + CONVERT(varchar(9), n) FROM @t",
			out: "gone1", sent: "(2)(1)"},
		"UPDATE that sets variables": {body: insert + "(1, 'a') UPDATE ASPStateTempApplications SET @out = AppName, AppName = 'b' WHERE AppId = 1", out: "a", sent: "(1)(1)"},
		"UPDATE that sets a variable and a column at once": {body: insert + "(1, 'a'), (2, 'b') DECLARE @was varchar(9), @n int, @both varchar(9) UPDATE ASPStateTempApplications SET @was = AppName, @n = AppId = AppId + 10, @both = ASPStateTempApplications.AppName = UPPER(AppName) + 'x' WHERE AppId = 2 SELECT @out = @was + ' ' + CONVERT(varchar(9), @n) + ' ' + @both + ' ' + AppName FROM ASPStateTempApplications WHERE AppId = 12",
			out: "b 12 Bx Bx", sent: "(2)(1)"},
		"a temporary table and a cursor": {body: "CREATE TABLE #t (n int NOT NULL PRIMARY KEY) INSERT INTO #t (n) VALUES (3), (1), (2) DECLARE c CURSOR LOCAL FOR SELECT n FROM #t ORDER BY n DECLARE @n int SET @out = '' OPEN c FETCH NEXT FROM c INTO @n WHILE @@FETCH_STATUS = 0 BEGIN SET @out = @out + CONVERT(varchar(9), @n) FETCH NEXT FROM c INTO @n END CLOSE c DEALLOCATE c DROP TABLE #t",
			out: "123", sent: "(3)"},
		"a cursor that is not open":                         {body: "DECLARE c CURSOR FOR SELECT 1 DECLARE @n int FETCH NEXT FROM c INTO @n", err: 16917},
		"EXEC with OUTPUT and status":                       {body: "DECLARE @h int, @r int EXEC @r = dbo.GetHashCode 'shop', @h OUTPUT SET @out = CONVERT(varchar(12), @h) + ' ' + CONVERT(varchar(9), @r)", out: fmt.Sprint(hashOf("shop"), " 0")},
		"EXEC with named arguments, without a required one": {body: "DECLARE @h int EXEC dbo.GetHashCode @hash = @h OUTPUT SET @out = @@ERROR", out: "201", sent: "[201 16]"},
		"EXEC of a procedure that does not exist":           {body: "EXEC dbo.Nobody SET @out = @@ERROR", out: "2812", sent: "[2812 16]"},
		"binary values of one length":                       {body: "DECLARE @a binary(16), @b binary(16) = 0x00000000000000000000000000000000 SET @out = CASE WHEN ISNULL(@a, 0x00) = @b THEN 'same' ELSE 'other' END", out: "same"},
		"datetime compared with datetime2":                  {body: "DECLARE @d datetime = '2026-11-30T10:00:00.003', @p datetime2(7) = '2026-11-30T10:00:00.0033333' SET @out = CASE WHEN @d = @p THEN 'same' WHEN @d < @p THEN 'less' ELSE 'more' END", out: "same"},
		"an endless loop":                                   {body: "WHILE 1 = 1 SET @out = 'x'", err: 40510},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := runBody(t.Context(), t, p, "SET NOCOUNT ON DELETE ASPStateTempApplications"); err != nil {
				t.Fatal(err)
			}
			out, sent, err := runBody(t.Context(), t, p, c.body)
			if n := numberOf(err); n != c.err || err != nil && n == 0 {
				t.Fatalf("error %v, want %d", err, c.err)
			}
			if err == nil && (out != c.out || sent != c.sent) {
				t.Errorf("@out %v, sent %s; want %v, %s", out, sent, c.out, c.sent)
			}
		})
	}
}

// hashOf returns the result of GetHashCode.
func hashOf(name string) int32 {
	h := uint32(5381)
	for _, c := range []byte(name) {
		h = h*33 ^ uint32(c)
	}
	return int32(h)
}

// A procedure that calls itself ends (217), and so does one whose client has disconnected. What a call wrote outside of
// a transaction stays, and is mirrored.
func TestExecution_Ends(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
	defer cancel()
	if _, _, err := runBody(ctx, t, p, "WHILE 1 = 1 SET @out = 'x'"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a loop whose client has disconnected ended with %v", err)
	}
	if _, _, err := runBody(t.Context(), t, p, "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (1, 'kept') BEGIN TRANSACTION INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (2, 'undone') SET @out = CONVERT(int, 'x')"); numberOf(err) != 245 {
		t.Errorf("got %v, want 245", err)
	}
	if out, _, err := runBody(t.Context(), t, p, "SELECT @out = MAX(AppName) FROM ASPStateTempApplications"); err != nil || out != "kept" {
		t.Errorf("after the error the value is %v (%v), want the one from before the transaction", out, err)
	}
	meet(t, pair)
}
