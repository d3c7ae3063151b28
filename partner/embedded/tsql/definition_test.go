package tsql

import (
	"fmt"
	"testing"
)

func TestDefinition(t *testing.T) {
	for _, c := range []struct{ batch, want string }{
		{"create table dbo.[T] (a int, b char(3)) -- a comment\n", `CREATE TABLE dbo.T on  "create table dbo . [T] ( a int , b char ( 3 ) )"`},
		{"CREATE UNIQUE INDEX i ON dbo.T (a)", `CREATE INDEX i on dbo.T "CREATE UNIQUE INDEX i ON dbo . T ( a )"`},
		{"ALTER TABLE T ADD a int NULL /* x */, b datetime2(7) NULL SELECT 1", `ALTER TABLE T on  ADD "ALTER TABLE T ADD a int NULL , b datetime2 ( 7 ) NULL"`},
		{"ALTER TABLE T DROP COLUMN a, [b c]", `ALTER TABLE T on  DROP COLUMN [a b c] "ALTER TABLE T DROP COLUMN a , [b c]"`},
		{"-- first\nCREATE PROC p AS SELECT 1; DROP TABLE x", `CREATE PROCEDURE p on  "CREATE PROC p AS SELECT 1 ; DROP TABLE x"`},
		{"DROP PROCEDURE dbo.p", `DROP PROCEDURE dbo.p on  "DROP PROCEDURE dbo . p"`},
		{"ALTER ROLE r ADD MEMBER [d\\u]", `ALTER ROLE r on  ADD MEMBER d\u "ALTER ROLE r ADD MEMBER [d\u]"`},
		{"CREATE USER u", `CREATE USER u on  u "CREATE USER u"`},
		{"CREATE USER u FOR LOGIN l", `CREATE USER u on  l "CREATE USER u FOR LOGIN l"`},
		{"CREATE LOGIN l WITH PASSWORD = N'a''b', SID = 0x01, CHECK_POLICY = OFF", `CREATE LOGIN l on  map[CHECK_POLICY:OFF PASSWORD:a'b SID:0x01] "CREATE LOGIN l WITH PASSWORD = N'a''b' , SID = 0x01 , CHECK_POLICY = OFF"`},
	} {
		list, err := Parse(c.batch)
		if err != nil {
			t.Errorf("%s: %v", c.batch, err)
			continue
		}
		d, ok := list[0].(*Definition)
		if !ok {
			t.Errorf("%s: %T", c.batch, list[0])
			continue
		}
		got := fmt.Sprintf("%s %s %v on %v ", d.Verb, d.Kind, d.Name, d.On)
		for _, more := range []struct {
			is   bool
			text any
		}{{d.Action != "", d.Action}, {d.Other != "", d.Other}, {d.Columns != nil, d.Columns}, {d.Options != nil, d.Options}} {
			if more.is {
				got += fmt.Sprint(more.text) + " "
			}
		}
		if got += `"` + d.Text + `"`; got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.batch, got, c.want)
		}
	}
}

func TestGrant(t *testing.T) {
	for _, c := range []struct{ batch, want string }{
		{"GRANT EXEC, select ON dbo.t TO r", "GRANT [EXECUTE SELECT] dbo.t r"},
		{"GRANT EXECUTE ON OBJECT::dbo.p TO [r s]", "GRANT [EXECUTE] dbo.p r s"},
		{"REVOKE VIEW DATABASE STATE FROM r", "REVOKE [VIEW DATABASE STATE]  r"},
	} {
		list, err := Parse(c.batch)
		if err != nil {
			t.Errorf("%s: %v", c.batch, err)
			continue
		}
		g := list[0].(*Grant)
		if got := fmt.Sprintf("%s %v %v %s", g.Verb, g.Permissions, g.On, g.To); got != c.want {
			t.Errorf("%s: got %s, want %s", c.batch, got, c.want)
		}
	}
}

func TestIf(t *testing.T) {
	list, err := Parse("IF 1 = 1 BEGIN SELECT 1; SELECT 2 END; ELSE IF 2 = 2 SELECT 3 ELSE SELECT 4\nSELECT 5")
	if err != nil || len(list) != 2 {
		t.Fatalf("%d statements, %v", len(list), err)
	}
	outer := list[0].(*If)
	inner := outer.Else[0].(*If)
	if len(outer.Then) != 2 || len(outer.Else) != 1 || len(inner.Then) != 1 || len(inner.Else) != 1 {
		t.Errorf("then %d, else %d; within it %d and %d", len(outer.Then), len(outer.Else), len(inner.Then), len(inner.Else))
	}
}
