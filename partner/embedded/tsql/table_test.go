package tsql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// catalogue is a caller of the package: a database in SQLite, and its tables as defined.
type catalogue struct {
	*session
	tables []*Table
}

func openCatalogue(t testing.TB) *catalogue {
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
	if _, err := db.Exec("PRAGMA foreign_keys = ON"); err != nil {
		t.Fatal(err)
	}
	return &catalogue{session: &session{db: db, variables: map[string]any{}}}
}

// schema is the schema for the parser.
func (c *catalogue) schema(n Name) []Column {
	if t := find(c.tables, n); t != nil {
		return t.Schema()
	}
	return nil
}

// exec runs statements of SQLite.
func (c *catalogue) exec(ctx context.Context, list []string) error {
	for _, text := range list {
		if _, err := c.db.ExecContext(ctx, text); err != nil {
			if e := FromSQLite(err); e != nil {
				return e
			}
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// batch runs a batch of T-SQL in a savepoint, and returns the result of its last query.
func (c *catalogue) batch(ctx context.Context, text string) (result string, err error) {
	list, err := ParseFor(text, c.schema)
	if err != nil {
		return "", err
	}
	for _, st := range list {
		if _, err := c.db.ExecContext(ctx, "SAVEPOINT s"); err != nil {
			return "", err
		}
		before := c.tables
		result, err = c.run(ctx, st)
		end := "RELEASE s"
		if err != nil {
			end, c.tables = "ROLLBACK TO s; RELEASE s", before
		}
		if _, err := c.db.ExecContext(ctx, end); err != nil {
			return "", err
		}
		if err != nil {
			return "", err
		}
	}
	return result, nil
}

func (c *catalogue) run(ctx context.Context, st Statement) (string, error) {
	switch st := st.(type) {
	case *Definition:
		return "", c.define(ctx, st)
	case *Query:
		_, result, err := c.query(ctx, st)
		if e := FromSQLite(err); e != nil {
			err = Written{Kind: st.Kind, Database: "D", Table: find(c.tables, Name{Object: st.Key}), Tables: c.tables}.FromSQLite(err)
		}
		return result, err
	case *Merge:
		return c.merge(ctx, st)
	}
	return "", fmt.Errorf("a %T", st)
}

func (c *catalogue) merge(ctx context.Context, st *Merge) (string, error) {
	args, err := c.bind(st.Inputs)
	if err != nil {
		return "", err
	}
	defer func() { _, _ = c.db.ExecContext(ctx, st.Drop) }()
	if _, err := c.db.ExecContext(ctx, st.Snapshot, args...); err != nil {
		if e := FromSQLite(err); e != nil {
			return "", e
		}
		return "", fmt.Errorf("%s: %w", st.Snapshot, err)
	}
	if st.Check != "" {
		if err := c.exec(ctx, []string{st.Check}); err != nil {
			return "", err
		}
	}
	var count int64
	for _, q := range st.Writes {
		done, err := c.db.ExecContext(ctx, q.SQL)
		if err != nil {
			if e := FromSQLite(err); e != nil {
				return "", e
			}
			return "", fmt.Errorf("%s: %w", q.SQL, err)
		}
		n, _ := done.RowsAffected()
		count += n
	}
	return fmt.Sprint(count), nil
}

func (c *catalogue) define(ctx context.Context, d *Definition) error {
	if d.Kind == "VIEW" {
		list := []string{d.Name.Drop()}
		if d.View != nil {
			list = append(list, d.View.SQL)
		}
		return c.exec(ctx, list)
	}
	if d.Verb == "CREATE" && d.Kind == "TABLE" {
		table, err := d.Table.Resolve(c.tables)
		if err != nil {
			return err
		}
		c.tables = append(c.tables[:len(c.tables):len(c.tables)], table)
		return c.exec(ctx, table.SQL())
	}
	name := d.Name
	if d.Kind == "INDEX" {
		name = d.On
	}
	table := find(c.tables, name)
	if table == nil {
		return failure(4902, 16, "Cannot find the object \"%s\" because it does not exist or you do not have permissions.", name)
	}
	change, err := table.Change(d, c.tables)
	if err != nil {
		return err
	}
	var rest []*Table
	for _, other := range c.tables {
		switch {
		case other != table:
			rest = append(rest, other)
		case change.Table != nil:
			rest = append(rest, change.Table)
		}
	}
	c.tables = rest
	for _, list := range [][]string{change.Checks, change.Schema, change.Rows} {
		if err := c.exec(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// sound fails if the database is damaged, or if a table's text does not parse to an equal table.
func (c *catalogue) sound(t *testing.T) {
	t.Helper()
	var answer string
	if err := c.db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Errorf("integrity_check: %s, %v", answer, err)
	}
	for _, table := range c.tables {
		again, err := ParseTable(table.Text())
		if err != nil {
			t.Errorf("%s: %v", table.Text(), err)
			continue
		}
		if got, want := strings.Join(again.SQL(), "\n"), strings.Join(table.SQL(), "\n"); got != want || again.Text() != table.Text() {
			t.Errorf("%s\nbecame\n%s\nand\n%s\nwant\n%s", table.Text(), again.Text(), got, want)
		}
		var declared string
		if err := c.db.QueryRow("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", table.Name.Table()).Scan(&declared); err != nil {
			t.Errorf("%s: %v", table.Name, err)
		}
	}
}

// steps are batches that run one after another; want is the last result, or begins with "number:" for an error.
type steps []struct{ batch, want string }

func (list steps) run(t *testing.T, c *catalogue) {
	t.Helper()
	for _, step := range list {
		got, err := c.batch(t.Context(), step.batch)
		if err != nil {
			got = err.Error()
			if e, ok := err.(*Error); ok {
				got = fmt.Sprintf("%d: %s", e.Number, e.Message)
			}
		}
		if number, _, failed := strings.Cut(step.want, ":"); failed && number == step.want[:len(step.want)-1] {
			got, _, _ = strings.Cut(got, ":")
			got += ":"
		}
		if got != step.want {
			t.Errorf("%s\ngot  %s\nwant %s", step.batch, got, step.want)
		}
	}
	c.sound(t)
}

const ordersTable = `CREATE TABLE dbo.Customers (Id int NOT NULL CONSTRAINT PK_Customers PRIMARY KEY CLUSTERED, Name nvarchar(40) COLLATE Latin1_General_CI_AS NULL UNIQUE);
CREATE TABLE [dbo].[Orders] (
	[Id] int IDENTITY(1,1) NOT NULL,
	CustomerId int NOT NULL CONSTRAINT FK_Orders_Customers REFERENCES Customers ON DELETE CASCADE,
	Code varchar(10) NOT NULL CONSTRAINT UQ_Code UNIQUE,
	Amount decimal(10, 2) NOT NULL DEFAULT ((0)) CHECK (Amount >= 0),
	Placed datetime2(3) NOT NULL CONSTRAINT DF_Placed DEFAULT (sysutcdatetime()),
	Note nvarchar(max) NULL,
	Guid uniqueidentifier ROWGUIDCOL DEFAULT NEWID(),
	CONSTRAINT [PK_Orders] PRIMARY KEY CLUSTERED ([Id] ASC) WITH (PAD_INDEX = OFF) ON [PRIMARY],
	CONSTRAINT CK_Code CHECK (Code <> 'bad' AND len(Code) > 1)
) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY]`

func TestTable(t *testing.T) {
	c := openCatalogue(t)
	steps{
		{ordersTable, ""},
		{"INSERT INTO Customers VALUES (1, N'Ann'), (2, N'Bob')", "2"},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'a1'), (2, 'a2')", "2"},
		{"INSERT Orders VALUES (1, 'a3', 3.5, '2026-11-30T10:00:00', N'n', NULL)", "1"}, // without its identity
		{"SELECT Id, Code, Amount, Note FROM Orders", "1|a1|0|NULL;2|a2|0|NULL;3|a3|3.5|n"},
		{"SELECT count(*) FROM Orders WHERE Placed > '2020-01-01' AND len(Guid) = 36", "2"},
		{"SELECT Placed FROM Orders WHERE Id = 3", "2026-11-30 10:00:00.0000000"},
		{"INSERT INTO Customers VALUES (1, N'Cid')", "2627: Violation of PRIMARY KEY constraint 'PK_Customers'. Cannot insert duplicate key in object 'dbo.Customers'."},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'A1')", "2627: Violation of UNIQUE KEY constraint 'UQ_Code'. Cannot insert duplicate key in object 'dbo.Orders'."},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (9, 'a9')", `547: The INSERT statement conflicted with the FOREIGN KEY constraint "FK_Orders_Customers". The conflict occurred in database "D", table "dbo.Customers", column 'Id'.`},
		{"UPDATE Orders SET CustomerId = 9", `547: The UPDATE statement conflicted with the FOREIGN KEY constraint "FK_Orders_Customers". The conflict occurred in database "D", table "dbo.Customers", column 'Id'.`},
		{"UPDATE Orders SET Code = 'BAD' WHERE Id = 1", `547: The UPDATE statement conflicted with the CHECK constraint "CK_Code". The conflict occurred in database "D", table "dbo.Orders".`},
		{"INSERT INTO Orders (CustomerId, Code, Amount) VALUES (1, 'a5', -1)", `547: The INSERT statement conflicted with the CHECK constraint "CK__Orders__Amoun__` + checkDigits(t, c) + `". The conflict occurred in database "D", table "dbo.Orders", column 'Amount'.`},
		{"UPDATE Orders SET Amount = NULL", "515: Cannot insert the value NULL into column 'Amount', table 'D.dbo.Orders'; column does not allow nulls. UPDATE fails."},
		{"INSERT INTO Orders (Code) VALUES ('x9')", "515: Cannot insert the value NULL into column 'CustomerId', table 'D.dbo.Orders'; column does not allow nulls. INSERT fails."},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'much too long')", "8152:"},
		{"UPDATE Orders SET Id = 7", "8102: Cannot update identity column 'Id'."},
		{"INSERT INTO Customers VALUES (3, NULL)", "1"},
		{"INSERT INTO Customers VALUES (4, NULL)", "2627:"}, // two NULLs are equal in a key
		{"UPDATE Orders SET Amount = DEFAULT, Note = DEFAULT WHERE Id = 3", "1"},
		{"SELECT Amount, Note FROM Orders WHERE Id = 3", "0|NULL"},
		{"INSERT INTO Orders (CustomerId, Code, Amount, Placed) VALUES (1, 'd1', DEFAULT, DEFAULT)", "1"},
		{"DELETE FROM Customers WHERE Id = 1", "1"},
		{"SELECT Id FROM Orders", "2"},
		{"DELETE FROM Orders; INSERT INTO Orders (CustomerId, Code) VALUES (2, 'zz'); SELECT Id, last = 1 FROM Orders", "5|1"},
	}.run(t, c)
}

// checkDigits returns the digits in the name of an unnamed CHECK, which are the same on both partners.
func checkDigits(t *testing.T, c *catalogue) string {
	list, err := Parse(ordersTable)
	if err != nil {
		t.Fatal(err)
	}
	name := list[1].(*Definition).Table.Checks[0].Name
	return name[strings.LastIndex(name, "_")+1:]
}

func TestTable_Identity(t *testing.T) {
	c := openCatalogue(t)
	steps{
		{"CREATE TABLE T (Name varchar(5), Id bigint IDENTITY(100, 1) PRIMARY KEY)", ""},
		{"INSERT T VALUES ('a'), ('b')", "2"},
		{"INSERT INTO T SELECT 'c'", "1"},
		{"INSERT T DEFAULT VALUES", "1"},
		{"SELECT Id, Name FROM T", "100|a;101|b;102|c;103|NULL"},
		{"DELETE T WHERE Id > 101; INSERT T VALUES ('d'); SELECT max(Id) FROM T", "104"},
		{"TRUNCATE TABLE T", ""},
		{"INSERT T VALUES ('a'); SELECT Id FROM T", "100"},
		{"SET IDENTITY_INSERT dbo.T ON", "a *tsql.SetOption"},
	}.run(t, c)
	table := c.tables[0]
	var current int64
	if err := c.db.QueryRow(table.IdentityCurrent()).Scan(&current); err != nil || current != 100 {
		t.Errorf("IDENT_CURRENT is %d, %v; want 100", current, err)
	}
	for _, test := range []struct {
		insert string
		on     bool
		want   int32
	}{
		{"INSERT T (Id, Name) VALUES (5, 'x')", false, 544}, {"INSERT T (Id, Name) VALUES (5, 'x')", true, 0},
		{"INSERT T (Name) VALUES ('x')", false, 0}, {"INSERT T (Name) VALUES ('x')", true, 545}, {"INSERT T VALUES ('x')", true, 545},
	} {
		list, err := ParseFor(test.insert, c.schema)
		if err != nil {
			t.Fatal(err)
		}
		got := list[0].(*Query).IdentityInsert(test.on)
		if test.want == 0 && got != nil || test.want != 0 && (got == nil || got.Number != test.want) {
			t.Errorf("%s, %v: %v, want %d", test.insert, test.on, got, test.want)
		}
	}
}

func TestTable_Change(t *testing.T) {
	c := openCatalogue(t)
	steps{
		{ordersTable, ""},
		{"INSERT INTO Customers VALUES (1, N'Ann'), (2, N'Bob')", "2"},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'a1'), (2, 'a2'), (2, 'a3')", "3"},
		// Columns
		{"ALTER TABLE Orders ADD State tinyint NOT NULL CONSTRAINT DF_State DEFAULT 7, Remark varchar(20) NULL DEFAULT 'none', Extra varchar(5) DEFAULT 'e' WITH VALUES", ""},
		{"SELECT Id, State, Remark, Extra FROM Orders", "1|7|NULL|e;2|7|NULL|e;3|7|NULL|e"},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'b1'); SELECT State, Remark, Extra FROM Orders WHERE Code = 'b1'", "7|none|e"},
		{"ALTER TABLE Orders ADD State int", "2705:"},
		{"ALTER TABLE Orders ADD Must int NOT NULL", "4901:"},
		{"ALTER TABLE Orders DROP CONSTRAINT DF_State", ""},
		{"SELECT Id, State FROM Orders WHERE Id < 3", "1|7;2|7"}, // existing rows keep the value that they got
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'b2')", "515:"},
		{"ALTER TABLE Orders ADD CONSTRAINT DF_Again DEFAULT (1 + 1) FOR State", ""},
		{"ALTER TABLE Orders ADD Late int NULL", ""},
		{"ALTER TABLE Orders ADD DEFAULT 5 FOR Late", ""},
		{"SELECT DISTINCT Late FROM Orders", "NULL"}, // a default applies to new rows only
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'b2'); SELECT State, Late FROM Orders WHERE Code = 'b2'", "2|5"},
		{"ALTER TABLE Orders DROP COLUMN Extra", "5074:"},
		{"ALTER TABLE Orders DROP COLUMN Note", ""},
		{"ALTER TABLE Orders DROP COLUMN Note", "4924:"},
		{"ALTER TABLE Orders DROP COLUMN IF EXISTS Note", ""},
		{"SELECT Note FROM Orders", "207: Invalid column name 'Note'."},
		// Types
		{"ALTER TABLE Orders ALTER COLUMN Code varchar(40) NOT NULL", ""},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (1, 'much too long')", "1"},
		{"ALTER TABLE Orders ALTER COLUMN Code varchar(5) NOT NULL", "5074:"},
		{"ALTER TABLE Orders ALTER COLUMN Remark varchar(2)", "8152:"},
		{"ALTER TABLE Customers ADD Score varchar(10) NULL", ""},
		{"UPDATE Customers SET Score = '12' WHERE Id = 1", "1"},
		{"ALTER TABLE Customers ALTER COLUMN Score int NOT NULL", "515:"},
		{"ALTER TABLE Customers ALTER COLUMN Score int NULL", ""},
		{"SELECT Score + 1 FROM Customers WHERE Score IN (12)", "13"},
		{"UPDATE Customers SET Score = 0 WHERE Score IS NULL; ALTER TABLE Customers ALTER COLUMN Score int NOT NULL", ""},
		{"UPDATE Customers SET Score = NULL", "515:"},
		// Constraints
		{"ALTER TABLE Orders WITH CHECK ADD CONSTRAINT CK_State CHECK (State > 5)", `547: The ALTER TABLE statement conflicted with the CHECK constraint "CK_State". The conflict occurred in table "dbo.Orders".`},
		{"ALTER TABLE Orders WITH NOCHECK ADD CONSTRAINT CK_State CHECK (State > 5)", ""},
		{"ALTER TABLE Orders CHECK CONSTRAINT CK_State", ""},
		{"ALTER TABLE Orders CHECK CONSTRAINT CK_Other", "4917:"},
		{"UPDATE Orders SET State = 3", "547:"},
		{"ALTER TABLE Orders DROP CONSTRAINT CK_State", ""},
		{"UPDATE Orders SET State = 3", "6"},
		{"ALTER TABLE Orders DROP CONSTRAINT FK_Orders_Customers, UQ_Code", ""},
		{"INSERT INTO Orders (CustomerId, Code) VALUES (9, 'a1')", "1"},
		{"ALTER TABLE Orders ADD FOREIGN KEY (CustomerId) REFERENCES Customers (Id)", "547:"},
		{"ALTER TABLE Orders ADD UNIQUE (Code)", "1505:"},
		{"DELETE FROM Orders WHERE CustomerId = 9", "1"},
		{"ALTER TABLE Orders ADD CONSTRAINT FK2 FOREIGN KEY (CustomerId) REFERENCES Customers (Id)", ""},
		{"DELETE FROM Customers", `547: The DELETE statement conflicted with the REFERENCE constraint "FK2". The conflict occurred in database "D", table "dbo.Orders", column 'CustomerId'.`},
		{"ALTER TABLE Customers DROP CONSTRAINT PK_Customers", "3725:"},
		{"DROP TABLE Customers", "3726: Could not drop object 'Customers' because it is referenced by a FOREIGN KEY constraint."},
		{"TRUNCATE TABLE Customers", "4712:"},
		{"ALTER TABLE Orders ADD CONSTRAINT FK3 FOREIGN KEY (State) REFERENCES Customers (Name)", "1778:"},
		{"ALTER TABLE Orders ADD CONSTRAINT FK4 FOREIGN KEY (Code) REFERENCES Nobody", "1767:"},
		{"ALTER TABLE Orders DROP CONSTRAINT PK_Orders", ""},
		{"ALTER TABLE Orders ADD CONSTRAINT PK_Other PRIMARY KEY (Code)", ""},
		{"ALTER TABLE Orders DROP CONSTRAINT PK_Nothing", "3728: 'PK_Nothing' is not a constraint."},
		// Indexes
		{"UPDATE Orders SET Placed = dateadd(day, Id, '2026-01-01')", "6"},
		{"CREATE UNIQUE NONCLUSTERED INDEX IX_A ON dbo.Orders (CustomerId DESC, Placed) INCLUDE (Amount) WHERE CustomerId = 1 WITH (ONLINE = ON)", ""},
		{"CREATE INDEX IX_A ON Orders (Code)", "1913:"},
		{"CREATE INDEX IX_B ON Orders (Nothing)", "1911:"},
		{"CREATE UNIQUE INDEX IX_C ON Orders (State)", "1505: The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name 'dbo.Orders' and the index name 'IX_C'."},
		{"UPDATE Orders SET Placed = '2026-01-01' WHERE CustomerId = 1", "2601: Cannot insert duplicate key row in object 'dbo.Orders' with unique index 'IX_A'."},
		{"DROP INDEX Orders.IX_A", ""},
		{"DROP INDEX IX_A ON Orders", "3701:"},
		{"DROP INDEX IF EXISTS IX_A ON Orders", ""},
		{"DROP INDEX PK_Other ON Orders", "3723:"},
		{"DROP TABLE Orders", ""}, {"DROP TABLE Customers", ""},
	}.run(t, c)
}

// What CREATE TABLE refuses, and the error numbers.
func TestTable_Refuses(t *testing.T) {
	for batch, want := range map[string]int32{
		"CREATE TABLE T (a int, A int)":                                              2705,
		"CREATE TABLE T (a int IDENTITY, b int IDENTITY)":                            2744,
		"CREATE TABLE T (a varchar(5) IDENTITY)":                                     2749,
		"CREATE TABLE T (a int IDENTITY NULL)":                                       8147,
		"CREATE TABLE T (a int IDENTITY(1, 2))":                                      40510,
		"CREATE TABLE T (a int IDENTITY(0, 1))":                                      40510,
		"CREATE TABLE T (a int PRIMARY KEY, b int PRIMARY KEY)":                      8110,
		"CREATE TABLE T (a int NULL PRIMARY KEY)":                                    8111,
		"CREATE TABLE T (CHECK (1 = 1))":                                             102,
		"CREATE TABLE T (a int, INDEX i (b))":                                        1911,
		"CREATE TABLE T (a int, PRIMARY KEY (b))":                                    1911,
		"CREATE TABLE T (a frob)":                                                    2715,
		"CREATE TABLE T (a sql_variant)":                                             40510,
		"CREATE TABLE T (a rowversion)":                                              40510,
		"CREATE TABLE T (a int, b AS a + 1)":                                         40510,
		"CREATE TABLE T (a int DEFAULT b)":                                           128,
		"CREATE TABLE T (a int DEFAULT @b)":                                          112,
		"CREATE TABLE T (a int DEFAULT @@SPID)":                                      40510,
		"CREATE TABLE T (a int CHECK (a > (SELECT 1)))":                              40510,
		"CREATE TABLE T (a int CHECK (a))":                                           4145,
		"CREATE TABLE T (a int REFERENCES U (x, y))":                                 8139,
		"CREATE TABLE T (a int CONSTRAINT c CHECK (a > 1), CONSTRAINT c UNIQUE (a))": 2714,
		"CREATE TABLE T (a int) WITH (MEMORY_OPTIMIZED = ON)":                        40510,
		"CREATE TABLE T (a int,":                                                     102,
		"CREATE TABLE T ()":                                                          102,
		"ALTER TABLE T NOCHECK CONSTRAINT ALL":                                       40510,
		"ALTER TABLE T SWITCH TO U":                                                  40510,
		"CREATE COLUMNSTORE INDEX i ON T (a)":                                        40510,
		"CREATE INDEX i ON T (a) WHERE a > @b":                                       112,
	} {
		_, err := Parse(batch)
		if err == nil {
			t.Errorf("%s: no error, want %d", batch, want)
			continue
		}
		if e := asError(t, err); e.Number != want || e.Line != 1 {
			t.Errorf("%s: %d, line %d: %s; want %d", batch, e.Number, e.Line, e.Message, want)
		}
	}
}

// A batch can use the tables that it creates.
func TestTable_InOneBatch(t *testing.T) {
	steps{
		{"CREATE TABLE T (Id int IDENTITY PRIMARY KEY, D datetime, S varchar(3)); INSERT T VALUES ('20261130', 'abc'); INSERT T SELECT '1/2/2026', 'b'; SELECT Id, S FROM T WHERE D > '20260601'", "1|abc"},
		{"INSERT T VALUES ('20261130', 'abcd')", "8152:"},
		{"DROP TABLE T; CREATE TABLE T (S varchar(5)); INSERT T VALUES ('abcde'); SELECT S FROM T", "abcde"},
		{"ALTER TABLE T ADD N tinyint; INSERT T VALUES ('a', 300)", "220:"},
		{"CREATE TABLE Gap (a int, b uniqueidentifier NULL, c date); INSERT Gap VALUES (1, '6f9619ff-8b86-d011-b42d-00c04fc964ff', '20261130'); SELECT a FROM Gap WHERE b = '6f9619ff-8b86-d011-b42d-00c04fc964ff' AND c = '11/30/2026'", "1"},
		{"CREATE TABLE [a b.c] ([x y] int CHECK ([x y] < datepart(year, getdate())), [z]]] nvarchar(5) DEFAULT (N'it''s'))", ""},
		{"INSERT [a b.c] ([x y]) VALUES (1); SELECT * FROM [a b.c] WHERE [z]]] = 'IT''S'", "1|it's"},
		{"INSERT [a b.c] ([x y]) VALUES (9999)", "547:"},
		{"CREATE TABLE Tree (Id int CONSTRAINT nn NOT NULL PRIMARY KEY, Parent int NULL REFERENCES Tree (Id), CONSTRAINT CK CHECK (Parent <> Id))", ""},
		{"INSERT Tree VALUES (1, NULL), (2, 1)", "2"},
		{"INSERT Tree VALUES (3, 4)", `547: The INSERT statement conflicted with the FOREIGN KEY SAME TABLE constraint "` + "FK__Tree__Paren__" + fkDigits(t) + `". The conflict occurred in database "D", table "dbo.Tree", column 'Id'.`},
		{"DELETE Tree WHERE Id = 1", "547:"},
	}.run(t, openCatalogue(t))
}

func fkDigits(t *testing.T) string {
	t.Helper()
	table, err := ParseTable("CREATE TABLE Tree (Id int NOT NULL PRIMARY KEY, Parent int NULL REFERENCES Tree (Id))")
	if err != nil {
		t.Fatal(err)
	}
	name := table.ForeignKeys[0].Name
	return name[strings.LastIndex(name, "_")+1:]
}

// Table variables and temporary tables have everything that tables have, except foreign keys.
func TestLocalTables(t *testing.T) {
	c := openCatalogue(t)
	p, err := ParseProcedure(`CREATE PROCEDURE p AS
		DECLARE @t TABLE (Id int IDENTITY(1, 1) PRIMARY KEY, A varchar(3) NOT NULL DEFAULT 'd', B int NOT NULL CHECK (B > 0), UNIQUE (A, B))
		CREATE TABLE #u (A int NOT NULL REFERENCES Nobody (x), B datetime NULL, PRIMARY KEY CLUSTERED (A DESC), INDEX i (B))
		INSERT INTO @t VALUES ('x', 1), ('y', 2)
		INSERT INTO @t (B) VALUES (3)
		INSERT INTO #u SELECT Id, '20261130' FROM @t
		UPDATE t SET B += u.A FROM @t t JOIN #u u ON u.A = t.Id
		DELETE #u FROM @t AS t WHERE t.Id = #u.A AND t.B < 0
		DECLARE c CURSOR FOR WITH x AS (SELECT A FROM #u) SELECT A FROM x
		SELECT t.Id, t.A, t.B FROM @t t JOIN #u u ON u.A = t.Id WHERE u.B = '11/30/2026' ORDER BY t.Id`, c.schema)
	if err != nil {
		t.Fatal(err)
	}
	var result string
	for _, st := range p.Body {
		switch st := st.(type) {
		case *CreateLocal:
			err = c.exec(t.Context(), []string{st.SQL})
		case *Query:
			_, result, err = c.query(t.Context(), st)
		}
		if err != nil {
			t.Fatalf("line %d: %v", st.Line(), err)
		}
	}
	if want := "1|x|2;2|y|4;3|d|6"; result != want {
		t.Errorf("%s, want %s", result, want)
	}
	p, err = ParseProcedure("CREATE PROCEDURE p @n int AS SELECT Id, upper(A) AS A, datepart(year, B) AS Y INTO #v FROM #u2 WHERE Id < @n ORDER BY Id;\n"+
		"WITH x AS (SELECT A FROM #v UNION ALL SELECT 'Z') SELECT *, 1 AS n INTO #w FROM x UNION SELECT A, Id FROM #v SELECT A, n FROM #w ORDER BY A, n", func(n Name) []Column { return nil })
	if err == nil {
		c.variables["@n"] = int64(3)
		err = c.exec(t.Context(), []string{"CREATE TEMP TABLE [#u2] (Id, A, B)", "INSERT INTO [#u2] VALUES (1, 'a', '2026-01-01'), (2, 'b', NULL), (3, 'c', NULL)"})
	}
	for i := 0; err == nil && i < len(p.Body); i++ {
		switch st := p.Body[i].(type) {
		case *CreateLocal:
			err = c.exec(t.Context(), []string{st.SQL})
		case *Query:
			var args []any
			if len(st.Parameters) > 0 {
				args = []any{c.variables["@n"]}
			}
			if st.Kind == Insert {
				_, err = c.db.Exec(st.SQL, args...)
			} else {
				_, result, err = c.query(t.Context(), st)
			}
		}
	}
	if want := "A|1;B|1;B|2;Z|1"; err != nil || result != want {
		t.Errorf("%s, %v; want %s", result, err, want)
	}
	for _, table := range []string{"#t (a int NULL UNIQUE)", "#t (a int IDENTITY(5, 1))", "#t (a int, b AS a + 1)"} {
		if _, err := ParseProcedure("CREATE PROCEDURE p AS CREATE TABLE "+table, nil); err == nil || asError(t, err).Number != 40510 {
			t.Errorf("%s: %v, want 40510", table, err)
		}
	}
}

// A mirror that runs SQL and Change.Schema, and no rows, has the same schema; and a connection that was opened before
// sees it.
func TestTable_Mirror(t *testing.T) {
	c := openCatalogue(t)
	file := "file:" + t.TempDir() + "/mirror.db"
	mirror, other := openFile(t, file), openFile(t, file)
	for i, batch := range []string{
		"CREATE TABLE T (Id int IDENTITY(7, 1) PRIMARY KEY, A varchar(5) NULL UNIQUE, B int NOT NULL)", "INSERT T VALUES ('a', 1), ('b', 2)",
		"ALTER TABLE T ADD C int NOT NULL DEFAULT 3, D date NULL CHECK (D > '20200101')", "ALTER TABLE T DROP COLUMN B", "ALTER TABLE T ADD E int", "UPDATE T SET E = 5", "ALTER TABLE T ALTER COLUMN E bigint NOT NULL", "DELETE T",
		"CREATE UNIQUE INDEX I ON T (C, A)", "ALTER TABLE T ADD CONSTRAINT K UNIQUE (A, D)", "DROP INDEX I ON T", "TRUNCATE TABLE T", "INSERT T (A, E) VALUES ('z', 1)",
	} {
		list, err := ParseFor(batch, c.schema)
		if err != nil {
			t.Fatalf("%s: %v", batch, err)
		}
		if d, ok := list[0].(*Definition); ok {
			var statements []string
			if i == 0 {
				statements = d.Table.SQL()
			} else {
				change, err := c.tables[0].Change(d, c.tables)
				if err != nil {
					t.Fatalf("%s: %v", batch, err)
				}
				statements = change.Schema
			}
			if _, err := mirror.Exec("BEGIN; " + strings.Join(statements, "; ") + "; COMMIT"); err != nil {
				t.Fatalf("%s: %v", batch, err)
			}
		}
		if _, err := c.batch(t.Context(), batch); err != nil {
			t.Fatalf("%s: %v", batch, err)
		}
		if got, want := schemaOf(t, other), schemaOf(t, c.db); got != want {
			t.Errorf("%s: the mirror has\n%s\nwant\n%s", batch, got, want)
		}
		var n int
		if err := other.QueryRow("SELECT count(*) FROM T WHERE Id > 0 AND A IS NULL").Scan(&n); err != nil {
			t.Errorf("%s: %v", batch, err)
		}
	}
	c.sound(t)
	var sequence int
	if err := mirror.QueryRow("SELECT seq FROM sqlite_sequence").Scan(&sequence); err != nil || sequence != 6 {
		t.Errorf("the mirror would continue after %d, %v; want 6", sequence, err)
	}
}

func openFile(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
		t.Fatal(err)
	}
	return db
}

func schemaOf(t *testing.T, db *sql.DB) string {
	t.Helper()
	var text string
	if err := db.QueryRow("SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM sqlite_schema ORDER BY type, name)").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
