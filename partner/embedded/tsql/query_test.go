package tsql

import (
	"strings"
	"testing"
)

// Texts of package partner, as they are sent for [ASPState].
const (
	statusQuery = `SELECT d.state_desc, d.is_read_only, d.user_access_desc, ` +
		`CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability, ` +
		`CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, ` +
		`m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, ` +
		`m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, ` +
		`m.mirroring_witness_state_desc, SYSUTCDATETIME() AS utc_now, @@SERVERNAME AS server_name ` +
		`FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id ` +
		`WHERE d.name = @db`
	epochQuery = `SELECT Epoch, Server FROM [ASPState].dbo.MirrorStateEpoch`
)

func TestStatusQuery(t *testing.T) {
	s := &session{db: openTables(t), variables: map[string]any{"@db": "aspstate"}}
	q := one[*Query](t, statusQuery)
	names, got, err := s.query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want := "ONLINE|0|MULTI_USER|READ_WRITE|6F9619FF-8B86-D011-B42D-00C04FC964FF|PRINCIPAL|SYNCHRONIZED|3|FULL|TCP://b:5022|B|CONNECTED|2026-11-22 20:28:05.1234567|PARTNERA"
	if got != want {
		t.Errorf("row %s\nwant %s", got, want)
	}
	wantNames := "state_desc is_read_only user_access_desc updateability mirroring_guid mirroring_role_desc mirroring_state_desc mirroring_role_sequence " +
		"mirroring_safety_level_desc mirroring_partner_name mirroring_partner_instance mirroring_witness_state_desc utc_now server_name"
	if got := strings.Join(names, " "); got != wantNames {
		t.Errorf("columns %s\nwant %s", got, wantNames)
	}
	hints := q.Hints(names)
	for column, want := range map[int]string{0: "(0,0)", 3: "nvarchar(60,0)", 4: "nvarchar(36,0)", 12: "datetime2(0,7)", 13: "nvarchar(128,0)"} {
		if got := typeText(hints[column].Type); got != want {
			t.Errorf("column %s: type %s, want %s", names[column], got, want)
		}
	}
	if want := (Name{Schema: "sys", Object: "database_mirroring"}); hints[5].Table != want {
		t.Errorf("column %s: table %v, want %v", names[5], hints[5].Table, want)
	}
}

func TestSelects(t *testing.T) {
	db := openTables(t)
	addSessions(t, db, 12)
	s := &session{db: db, variables: map[string]any{"@n": int64(2), "@id": "S3", "@d": FormatDateTime(testNow)}}
	tests := []struct{ query, names, want string }{
		{epochQuery, "Epoch Server", "7|PARTNERA"},
		{"select 1;", "", "1"}, {"SELECT @@spid", "", "51"},
		{"select count(*) from ASPState.dbo.ASPStateTempSessions with (nolock)", "", "12"},
		{"select top 5 SessionId, Expires, datalength(SessionItemShort) from ASPStateTempSessions where Expires < dateadd(minute, 5, getutcdate()) order by Expires desc", "SessionId Expires ",
			"s4|2026-11-22 20:32:05.123|4;s3|2026-11-22 20:31:05.123|3;s2|2026-11-22 20:30:05.123|2;s1|2026-11-22 20:29:05.123|1"},
		{"select name from sysobjects where type = 'P' and name = 'TempGetVersion'", "name", "TempGetVersion"}, {"select name from ASPState.sys.sysobjects where type = 'p'", "name", "TempGetVersion"},
		{"select TOP (@n) SessionId as id from ASPStateTempSessions order by LockCookie", "id", "s1;s2"}, {"select TOP (1 + 1) id = SessionId from ASPStateTempSessions order by id desc", "id", "s9;s8"},
		{"select SessionId [the id], 'x' 'y' from dbo.ASPStateTempSessions where SessionId = @id", "the id y", "s3|x"}, {`select "SessionId" from "ASPState"."dbo"."ASPStateTempSessions" where SessionId = N'S4'`, "SessionId", "s4"},
		{"select ASPStateTempSessions.SessionId from ASPState..ASPStateTempSessions (nolock) where ASPState.dbo.ASPStateTempSessions.SessionId in ('S1', 's2')", "SessionId", "s1;s2"},
		{"select SessionId from ASPStateTempSessions where SessionId like 'S1[0-1]' order by 1", "SessionId", "s10;s11"}, {"select SessionId from ASPStateTempSessions where SessionId not like '%[1-9]'", "SessionId", "s10"},
		{"select count(*), min(LockCookie), max(LockCookie), sum(LockCookie), avg(LockCookie), count(distinct Timeout) from ASPStateTempSessions", "     ", "12|1|12|78|6|1"},
		{"select LockCookie % 3 k, count(*) n from ASPStateTempSessions where LockCookie between 2 and 10 group by LockCookie % 3 having count(*) > 2 order by k", "k n", "0|3;1|3;2|3"},
		{"select distinct Timeout from ASPStateTempSessions", "Timeout", "20"}, {"select all Timeout from ASPStateTempSessions where LockCookie = 1", "Timeout", "20"},
		{"select a.SessionId, b.LockCookie from ASPStateTempSessions a inner join ASPStateTempSessions as b on b.LockCookie = a.LockCookie + 1 where a.SessionId = 's1'", "SessionId LockCookie", "s1|2"},
		{"select a.SessionId, b.AppId from ASPStateTempSessions a left outer join ASPStateTempApplications b on b.AppId = a.LockCookie where a.LockCookie = 2", "SessionId AppId", "s2|NULL"},
		{"select d.name, e.Epoch from sys.databases d, MirrorStateEpoch e where d.database_id = 5", "name Epoch", "ASPState|7"}, {"select databases.name from sys.databases cross join MirrorStateEpoch where databases.database_id = 1", "name", "master"},
		{"select SessionId from ASPStateTempSessions s where exists (select * from ASPStateTempSessions x where x.LockCookie = s.LockCookie * 12)", "SessionId", "s1"},
		{"select SessionId from ASPStateTempSessions where LockCookie in (select database_id from sys.databases) order by SessionId", "SessionId", "s1;s5"},
		{"select (select max(LockCookie) from ASPStateTempSessions) m, (select top 1 SessionId from ASPStateTempSessions order by LockCookie desc)", "m ", "12|s12"},
		{"select SessionId from ASPStateTempSessions order by LockCookie offset 2 rows fetch next 2 rows only", "SessionId", "s3;s4"}, {"select SessionId from ASPStateTempSessions order by LockCookie offset 11 rows", "SessionId", "s12"},
		{"select name from sys.databases where has_dbaccess(name) = 1", "name", "ASPState"}, {"select table_name from information_schema.tables", "table_name", "ASPStateTempSessions"},
		{"select case when LockCookie > 1 then 'many' else 'one' end from ASPStateTempSessions where LockCookie < 3 order by LockCookie", "", "one;many"},
		// Dates in every format, compared with dates in the stored form.
		{"select count(*) from ASPStateTempSessions where Expires < '2026-11-22T20:31:00'", "", "2"}, {"select count(*) from ASPStateTempSessions where Expires < '20261122'", "", "0"},
		{"select count(*) from ASPStateTempSessions where '20261123' > Expires", "", "12"}, {"select count(*) from ASPStateTempSessions where Expires between '2026-11-22 20:31' and '11/22/2026 20:33'", "", "2"},
		{"select count(*) from ASPStateTempSessions where Expires in ('2026-11-22T20:29:05.123')", "", "1"}, {"select count(*) from ASPStateTempSessions where Expires > @d", "", "12"},
		{"select count(*) from ASPStateTempSessions where SessionId = '20261122'", "", "0"}, {"select datediff(minute, @d, Expires) from ASPStateTempSessions where SessionId = 's7'", "", "7"},
		{"select @id = SessionId from ASPStateTempSessions where LockCookie = 9", "", "s9"}, {"select top 1 * from MirrorStateEpoch", "Epoch Server", "7|PARTNERA"},
	}
	for _, test := range tests {
		for name, schema := range map[string]Schema{"without schema": nil, "with schema": testSchema} {
			statements, err := ParseFor(test.query, schema)
			if err != nil {
				t.Errorf("%s: %v", test.query, err)
				continue
			}
			q := statements[0].(*Query)
			names, got, err := s.query(t.Context(), q)
			if err != nil || got != test.want || strings.Join(names, " ") != test.names {
				t.Errorf("%s, %s: %q %q, %v\nwant %q %q\n%s", test.query, name, names, got, err, test.names, test.want, q.SQL)
			}
		}
	}
}

// TestWrites runs batches one after another on the same tables; check is a query of their effect.
func TestWrites(t *testing.T) {
	db := openTables(t)
	addSessions(t, db, 12)
	s := &session{db: db, variables: map[string]any{"@id": "S3", "@n": int64(2), "@b": []byte{9}}}
	tests := []struct{ batch, affected, check, want string }{
		{"update ASPStateTempSessions set Expires = dateadd(minute,-1,getutcdate()) where SessionId = @id", "1", "Expires FROM ASPStateTempSessions WHERE SessionId = 's3'", "2026-11-22 20:27:05.123"},
		{"delete from dbo.ASPStateTempSessions where SessionId like N's1%'", "4", "count(*) FROM ASPStateTempSessions", "8"},
		{"insert into ASPStateTempApplications (AppId, AppName) values (1, 'x'), (2, 'y')", "2", "group_concat(AppName) FROM ASPStateTempApplications", "x,y"},
		{"insert ASPStateTempApplications select LockCookie + 10, SessionId from ASPState..ASPStateTempSessions where LockCookie < 4", "2", "max(AppId) FROM ASPStateTempApplications", "13"},
		{"insert into ASPStateTempApplications values (20, 'z' + 'z')", "1", "AppName FROM ASPStateTempApplications WHERE AppId = 20", "zz"},
		{"update a set AppName = a.AppName + '!', AppId += 100 from ASPStateTempApplications a where a.AppId = 20", "1", "AppName || AppId FROM ASPStateTempApplications WHERE AppId > 100", "zz!120"},
		{"delete top (2) from ASPStateTempApplications with (rowlock, readpast) where AppId < 100", "2", "count(*) FROM ASPStateTempApplications", "3"},
		{"delete a from ASPStateTempApplications as a where a.AppId = 120", "1", "count(*) FROM ASPStateTempApplications", "2"},
		{"update top (@n) ASPStateTempSessions set Locked = 1, LockCookie = LockCookie + 1 where LockCookie > 4", "2", "count(*) || '-' || sum(LockCookie) FROM ASPStateTempSessions WHERE Locked = 1", "2-13"},
		{"update ASPStateTempSessions set Expires = '2027-01-02T03:04:05.678' where SessionId = 's5'", "1", "Expires FROM ASPStateTempSessions WHERE SessionId = 's5'", "2027-01-02 03:04:05.677"},
		{"update ASPStateTempSessions set Expires = SYSUTCDATETIME(), Locked = 7, SessionItemShort = @b where SessionId = 's6'", "1",
			"Expires || Locked || hex(SessionItemShort) FROM ASPStateTempSessions WHERE SessionId = 's6'", "2026-11-22 20:28:05.123109"},
		{"insert into ASPStateTempSessions (SessionId, Expires, LockCookie, SessionItemShort) values (N'new', '20270101', '5', 0xAB)", "1",
			"Expires || LockCookie || hex(SessionItemShort) || typeof(LockCookie) FROM ASPStateTempSessions WHERE SessionId = 'new'", "2027-01-01 00:00:00.0005ABinteger"},
		{"insert into ASPStateTempSessions (SessionId, Expires, SessionItemShort) select 'new2', sysutcdatetime(), NULL", "1",
			"Expires || ifnull(SessionItemShort, '-') FROM ASPStateTempSessions WHERE SessionId = 'new2'", "2026-11-22 20:28:05.123-"},
		{"update ASPStateTempSessions set LockCookie = (select max(LockCookie) from ASPStateTempSessions) + 1 where SessionId = 'new'", "1", "count(*) FROM ASPStateTempSessions WHERE LockCookie = 10 AND SessionId = 'new'", "1"},
		{"delete ASPStateTempSessions where Expires < '2026-12-01'", "8", "count(*) FROM ASPStateTempSessions", "2"},
		{"delete from ASPStateTempSessions", "2", "count(*) FROM ASPStateTempSessions", "0"},
	}
	for _, test := range tests {
		statements, err := ParseFor(test.batch, testSchema)
		if err != nil {
			t.Fatalf("%s: %v", test.batch, err)
		}
		q := statements[0].(*Query)
		if _, got, err := s.query(t.Context(), q); err != nil || got != test.affected {
			t.Fatalf("%s: %s rows, %v, want %s\n%s", test.batch, got, err, test.affected, q.SQL)
		}
		var got string
		if err := db.QueryRow("SELECT " + test.check).Scan(&got); err != nil || got != test.want {
			t.Errorf("%s\n%s: %s, %v, want %s\n%s", test.batch, test.check, got, err, test.want, q.SQL)
		}
	}
}
