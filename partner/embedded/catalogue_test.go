package embedded_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// answer returns a result set as text: its columns with their types, and its rows.
func answer(t *testing.T, db *sql.DB, text string, args ...any) (columns string, lines []string) {
	t.Helper()
	rows, err := db.QueryContext(limit(t), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range types {
		names = append(names, c.Name()+" "+strings.ToLower(c.DatabaseTypeName()))
	}
	for rows.Next() {
		values, into := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		words := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				words[i] = "NULL"
			case []byte:
				words[i] = string(v)
			default:
				words[i] = fmt.Sprint(v)
			}
		}
		lines = append(lines, strings.Join(words, "|"))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(names, ", "), lines
}

// answersAre compares the rows of texts.
func answersAre(t *testing.T, db *sql.DB, cases [][]string) {
	t.Helper()
	for _, c := range cases {
		_, got := answer(t, db, c[0])
		if want := c[1:]; strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c[0], strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What ODBC drivers query before they send a value: without the sizes FreeTDS truncates binary values at 8,000
// bytes. Source of all rows: the manual's pages of the procedures.
func TestCatalogue_types(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	columns, all := answer(t, db, "EXEC sp_datatype_info_100 @ODBCVer = 3")
	if want := "TYPE_NAME nvarchar, DATA_TYPE smallint, PRECISION int, LITERAL_PREFIX varchar, LITERAL_SUFFIX varchar, CREATE_PARAMS varchar, NULLABLE smallint, " +
		"CASE_SENSITIVE smallint, SEARCHABLE smallint, UNSIGNED_ATTRIBUTE smallint, MONEY smallint, AUTO_INCREMENT smallint, LOCAL_TYPE_NAME nvarchar, MINIMUM_SCALE smallint, " +
		"MAXIMUM_SCALE smallint, SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint, NUM_PREC_RADIX int, INTERVAL_PRECISION smallint, USERTYPE smallint"; columns != want {
		t.Errorf("columns %s, want %s", columns, want)
	}
	if len(all) != 37 || !strings.HasPrefix(all[0], "datetimeoffset|-155|34|'|'|scale|1|") {
		t.Errorf("%d types, the first %s", len(all), all[0])
	}
	answersAre(t, db, [][]string{
		{"EXEC sp_datatype_info_100 -3, 3", "varbinary|-3|8000|0x|NULL|max length|1|0|2|NULL|0|NULL|varbinary|NULL|NULL|-3|NULL|NULL|NULL|4"},
		{"EXEC sp_datatype_info_100 @data_type = -4", "image|-4|2147483647|0x|NULL|NULL|1|0|0|NULL|0|NULL|image|NULL|NULL|-4|NULL|NULL|NULL|20"},
		{"EXEC sys.sp_datatype_info 6, 2", "float|6|15|NULL|NULL|NULL|1|0|2|0|0|0|float|NULL|NULL|6|NULL|10|NULL|8"},
		{"EXEC sp_datatype_info 6, 3", "float|6|53|NULL|NULL|NULL|1|0|2|0|0|0|float|NULL|NULL|6|NULL|2|NULL|8"},
		{"EXEC sp_datatype_info_100 4", "int|4|10|NULL|NULL|NULL|1|0|2|0|0|0|int|0|0|4|NULL|10|NULL|7",
			"int identity|4|10|NULL|NULL|NULL|0|0|2|0|0|1|int identity|0|0|4|NULL|10|NULL|7"},
		{"EXEC sp_datatype_info_100 91, 3", "date|91|10|'|'|NULL|1|0|3|NULL|0|NULL|date|NULL|NULL|9|1|NULL|NULL|0"},
		{"EXEC sp_datatype_info_100 9, 3", "date|91|10|'|'|NULL|1|0|3|NULL|0|NULL|date|NULL|NULL|9|1|NULL|NULL|0"},
		{"EXEC sp_datatype_info_100 9, 2", "date|9|10|'|'|NULL|1|0|3|NULL|0|NULL|date|NULL|NULL|9|1|NULL|NULL|0"},
		{"EXEC sp_datatype_info 99"},
	})
	if _, old := answer(t, db, "EXEC sp_datatype_info -9"); len(old) != 6 { // nvarchar, sysname, and the four types new in SQL Server 2008
		t.Errorf("nvarchar types for a driver before 2008: %q", old)
	}
}

func TestCatalogue_tables(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	columns, _ := answer(t, db, "EXEC sp_columns_100 N'MirrorStateEpoch'")
	if want := "TABLE_QUALIFIER nvarchar, TABLE_OWNER nvarchar, TABLE_NAME nvarchar, COLUMN_NAME nvarchar, DATA_TYPE smallint, TYPE_NAME nvarchar, PRECISION int, LENGTH int, " +
		"SCALE smallint, RADIX smallint, NULLABLE smallint, REMARKS varchar, COLUMN_DEF nvarchar, SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint, CHAR_OCTET_LENGTH int, " +
		"ORDINAL_POSITION int, IS_NULLABLE varchar, SS_IS_SPARSE smallint, SS_IS_COLUMN_SET smallint, SS_IS_COMPUTED smallint, SS_IS_IDENTITY smallint, SS_UDT_CATALOG_NAME nvarchar, " +
		"SS_UDT_SCHEMA_NAME nvarchar, SS_UDT_ASSEMBLY_TYPE_NAME nvarchar, SS_XML_SCHEMACOLLECTION_CATALOG_NAME nvarchar, SS_XML_SCHEMACOLLECTION_SCHEMA_NAME nvarchar, " +
		"SS_XML_SCHEMACOLLECTION_NAME nvarchar, SS_DATA_TYPE tinyint"; columns != want {
		t.Errorf("columns %s, want %s", columns, want)
	}
	answersAre(t, db, [][]string{
		{"EXEC sp_tables @table_name = 'MirrorState[SE]%', @table_type = '''TABLE'''", "ASPState|dbo|MirrorStateEpoch|TABLE|NULL",
			"ASPState|dbo|MirrorStateSettled|TABLE|NULL", "ASPState|dbo|MirrorStateSweep|TABLE|NULL"},
		{"EXEC sp_tables @table_name = 'mirrorstate%', @fUsePattern = 0"},
		{"EXEC sp_tables @table_name = 'databases', @table_owner = 'sys'", "ASPState|sys|databases|VIEW|NULL"},
		{"EXEC sp_tables @table_name = '', @table_owner = '', @table_qualifier = '%'", "master|NULL|NULL|NULL|NULL", "tempdb|NULL|NULL|NULL|NULL", "model|NULL|NULL|NULL|NULL",
			"msdb|NULL|NULL|NULL|NULL", "ASPState|NULL|NULL|NULL|NULL"},
		{"EXEC sp_tables @table_name = '', @table_owner = '', @table_qualifier = '', @table_type = '%'", "NULL|NULL|NULL|SYSTEM TABLE|NULL", "NULL|NULL|NULL|TABLE|NULL", "NULL|NULL|NULL|VIEW|NULL"},
		{"EXEC sp_columns 'MirrorStateEpoch', @column_name = 'E%'", "ASPState|dbo|MirrorStateEpoch|Epoch|-5|bigint|19|8|0|10|0|NULL|NULL|-5|NULL|NULL|2|NO|63"},
		{"EXEC sp_columns_100 'MirrorStateSweep', @column_name = 'LastRun', @ODBCVer = 3",
			"ASPState|dbo|MirrorStateSweep|LastRun|93|datetime2|27|16|7|NULL|1|NULL|NULL|9|3|NULL|4|YES|0|0|0|0|NULL|NULL|NULL|NULL|NULL|NULL|0"},
		{"EXEC sp_columns_100 'ASPStateTempSessions', @column_name = 'SessionId', @ODBCVer = 3",
			"ASPState|dbo|ASPStateTempSessions|SessionId|-9|nvarchar|88|176|NULL|NULL|0|NULL|NULL|-9|NULL|176|1|NO|0|0|0|0|NULL|NULL|NULL|NULL|NULL|NULL|39"},
		{"EXEC ASPState.sys.sp_pkeys N'MirrorStateTombstones', N'dbo', N'ASPState'", "ASPState|dbo|MirrorStateTombstones|SessionId|1|PK__MirrorSta__13D22225E9C1B831",
			"ASPState|dbo|MirrorStateTombstones|OperationId|2|PK__MirrorSta__13D22225E9C1B831"},
		{"EXEC sp_statistics 'MirrorStateEpoch'", "ASPState|dbo|MirrorStateEpoch|NULL|NULL|NULL|0|NULL|NULL|NULL|1|NULL|NULL",
			"ASPState|dbo|MirrorStateEpoch|0|MirrorStateEpoch|PK__MirrorSta__E6C801A6D163D724|1|1|Id|A|1|NULL|NULL"},
		{"EXEC sp_statistics_100 'ASPStateTempSessions', @is_unique = 'Y', @accuracy = 'E'", "ASPState|dbo|ASPStateTempSessions|NULL|NULL|NULL|0|NULL|NULL|NULL|0|NULL|NULL",
			"ASPState|dbo|ASPStateTempSessions|0|ASPStateTempSessions|PK__ASPStateT__39DABD02E762229F|1|1|SessionId|A|0|NULL|NULL"},
		{"EXEC sp_special_columns_100 'MirrorStateTombstones', @ODBCVer = 3", "1|SessionId|-9|nvarchar|88|176|NULL|1", "1|OperationId|-2|binary|16|16|NULL|1"},
		{"EXEC sp_special_columns 'MirrorStateTombstones', @col_type = 'V'"},
		{"EXEC sp_fkeys @pktable_name = 'MirrorStateEpoch'"},
		{"EXEC sp_databases", "master|NULL|NULL", "tempdb|NULL|NULL", "model|NULL|NULL", "msdb|NULL|NULL", "ASPState|NULL|NULL"},
		{"EXEC sp_server_info 16", "16|IDENTIFIER_CASE|MIXED"},
		{"DECLARE @r int; EXEC @r = sp_server_info 18; SELECT @r", "18|COLLATION_SEQ|charset=iso_1 sort_order=nocase_iso charset_num=1 sort_order_num=52"},
	})
	for text, number := range map[string]int32{
		"EXEC sp_columns":                              201,
		"EXEC sp_columns 'a', 'b', 'c', 'd', 2, 6":     8144,
		"EXEC sp_columns 'a', @nothing = 1":            8145,
		"EXEC sp_pkeys 'a', NULL, 'master'":            15250,
		"EXEC nowhere..sp_pkeys 'a'":                   911,
		"EXEC sp_fkeys":                                15252,
		"EXEC sp_help 'ASPStateTempSessions'":          40510,
		"EXEC sp_who2":                                 40510,
		"EXEC sp_rename 'a', 'b'":                      40510,
		"EXEC sp_describe_undeclared_parameters N'x'":  40510,
		"EXEC sp_describe_first_result_set N'PRINT 1'": 40510,
		"EXEC sp_nobodys":                              2812,
	} {
		refused(t, db, text, number)
	}
	refused(t, connect(t, pair.Partner("b"), "master"), "EXEC ASPState..sp_tables", 954)
}

func TestCatalogue_procedures(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	answersAre(t, db, [][]string{
		{"EXEC sp_stored_procedures 'TempGetV%'", "ASPState|dbo|TempGetVersion;1|-1|-1|-1|NULL|2"},
		{"EXEC sp_sproc_columns_100 'TempGetAppID', @ODBCVer = 3",
			"ASPState|dbo|TempGetAppID;1|@RETURN_VALUE|5|4|int|10|4|0|10|0|NULL|NULL|4|NULL|NULL|0|NO|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|56",
			"ASPState|dbo|TempGetAppID;1|@appName|1|12|varchar|280|280|NULL|NULL|1|NULL|NULL|12|NULL|280|1|YES|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|39",
			"ASPState|dbo|TempGetAppID;1|@appId|2|4|int|10|4|0|10|1|NULL|NULL|4|NULL|NULL|2|YES|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|38"},
		{"EXEC sp_sproc_columns 'TempGetAppID', @column_name = '@appId'", "ASPState|dbo|TempGetAppID;1|@appId|2|4|int|10|4|0|10|1|NULL|NULL|4|NULL|NULL|2|YES|38"},
		{"EXEC [ASPState].[sys].[sp_procedure_params_100_managed] @procedure_name = N'TempGetAppID'",
			"ASPState|dbo|TempGetAppID;1|@RETURN_VALUE|0|4|0|NULL|false|4|8|NULL|NULL|10|0|NULL|NULL|int|NULL|NULL|NULL|NULL",
			"ASPState|dbo|TempGetAppID;1|@appName|1|1|0|NULL|true|12|22|280|280|NULL|NULL|NULL|NULL|varchar|NULL|NULL|NULL|NULL",
			"ASPState|dbo|TempGetAppID;1|@appId|2|2|0|NULL|true|4|8|NULL|NULL|10|0|NULL|NULL|int|NULL|NULL|NULL|NULL"},
	})
	_, lines := answer(t, db, "EXEC sp_helptext 'dbo.TempGetVersion'")
	if text := strings.Join(lines, ""); !strings.Contains(text, "PROCEDURE") || !strings.Contains(text, "TempGetVersion") || len(lines) < 3 {
		t.Errorf("sp_helptext: %q", lines)
	}
	refused(t, db, "EXEC sp_helptext 'nothing'", 15009)
	refused(t, db, "EXEC sp_helptext 'ASPStateTempSessions'", 15197)

	// By RPC, as drivers call it, with the name that go-mssqldb uses.
	var rows int
	set, err := db.QueryContext(limit(t), "sp_procedure_params_100_managed", sql.Named("procedure_name", "TempGetStateItem3"))
	if err != nil {
		t.Fatal(err)
	}
	for ; set.Next(); rows++ {
	}
	if err := set.Close(); err != nil || rows != 7 {
		t.Errorf("%d parameters, %v", rows, err)
	}
}

func TestCatalogue_describesResults(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	columns, got := answer(t, db, "EXEC sp_describe_first_result_set N'SELECT SessionId, LockCookie AS c, @p AS p FROM ASPStateTempSessions WHERE Timeout = @p', N'@p int'")
	if !strings.HasPrefix(columns, "is_hidden bit, column_ordinal int, name nvarchar, is_nullable bit, system_type_id int, system_type_name nvarchar, max_length smallint, precision tinyint") {
		t.Errorf("columns %s", columns)
	}
	if len(got) != 3 || !strings.HasPrefix(got[0], "false|1|SessionId|true|231|nvarchar(88)|176|0|0|SQL_Latin1_General_CP1_CI_AS|") ||
		!strings.HasPrefix(got[1], "false|2|c|true|56|int|4|10|0|NULL|") || !strings.HasPrefix(got[2], "false|3|p|true|56|int|4|10|0|NULL|") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	refused(t, db, "EXEC sp_describe_first_result_set N'SELECT nothing FROM ASPStateTempSessions'", 207)
}

func TestCatalogue_views(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	answersAre(t, db, [][]string{
		// The first query of ASP.NET's async provider.
		{"SELECT CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'ASPStateTempSessions' AND COLUMN_NAME = 'SessionId'", "88"},
		{"SELECT COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_PRECISION_RADIX, NUMERIC_SCALE, DATETIME_PRECISION, COLLATION_NAME " +
			"FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'mirrorstatesweep' ORDER BY ORDINAL_POSITION", "Id|1|NULL|NO|int|NULL|10|10|0|NULL|NULL",
			"Owner|2|NULL|YES|binary|16|NULL|NULL|NULL|NULL|NULL", "LeasedUntil|3|NULL|YES|datetime2|NULL|NULL|NULL|NULL|7|NULL",
			"LastRun|4|NULL|YES|datetime2|NULL|NULL|NULL|NULL|7|NULL", "Deleted|5|NULL|NO|bigint|NULL|19|10|0|NULL|NULL"},
		{"SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id JOIN sys.tables o ON o.object_id = c.object_id " +
			"WHERE o.name = 'MirrorStateEpoch' ORDER BY c.column_id", "Id|int|4|10|0|false", "Epoch|bigint|8|19|0|false", "Server|nvarchar|512|0|0|false", "FleetSecret|binary|32|0|0|true"},
		{"SELECT i.name, i.type_desc, i.is_unique, c.column_id FROM sys.indexes i JOIN sys.index_columns c ON c.object_id = i.object_id AND c.index_id = i.index_id " +
			"WHERE i.object_id = OBJECT_ID('dbo.ASPStateTempSessions') ORDER BY i.index_id", "PK__ASPStateT__39DABD02E762229F|CLUSTERED|true|1", "Index_Expires|NONCLUSTERED|false|3"},
		{"SELECT CONSTRAINT_NAME, CONSTRAINT_TYPE FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS WHERE TABLE_NAME = 'MirrorStateTombstones'", "PK__MirrorSta__13D22225E9C1B831|PRIMARY KEY"},
		{"SELECT COLUMN_NAME, ORDINAL_POSITION FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE WHERE TABLE_NAME = 'MirrorStateTombstones' ORDER BY 2", "SessionId|1", "OperationId|2"},
		{"SELECT ROUTINE_TYPE, DATA_TYPE FROM INFORMATION_SCHEMA.ROUTINES WHERE ROUTINE_NAME = 'TempGetAppID'", "PROCEDURE|NULL"},
		{"SELECT PARAMETER_NAME, PARAMETER_MODE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.PARAMETERS WHERE SPECIFIC_NAME = 'TempGetAppID' ORDER BY ORDINAL_POSITION",
			"@appName|IN|varchar|280", "@appId|INOUT|int|NULL"},
		{"SELECT p.name, p.is_output, TYPE_NAME(p.user_type_id) FROM sys.parameters p JOIN sys.procedures o ON o.object_id = p.object_id WHERE o.name = 'TempGetAppID' ORDER BY p.parameter_id",
			"@appName|false|varchar", "@appId|true|int"},
		{"SELECT name FROM sys.schemas WHERE schema_id = 1", "dbo"},
		{"SELECT type, parent_object_id FROM sys.objects WHERE name = 'PK__MirrorSta__E6C801A6D163D724' AND parent_object_id = OBJECT_ID('MirrorStateEpoch') AND type = 'pk'", fmt.Sprint("PK|", scalar[int64](t, db, "SELECT OBJECT_ID('MirrorStateEpoch')"))},
		{"SELECT name FROM sys.all_objects WHERE type = 'V' AND name = 'database_mirroring'", "database_mirroring"},
		{"SELECT name, system_type_id, user_type_id FROM sys.types WHERE name IN ('sysname', 'datetime2') ORDER BY name", "datetime2|42|42", "sysname|231|256"},
		{"SELECT count(*) FROM master.sys.tables", "0"},
		{"SELECT definition FROM sys.default_constraints WHERE parent_object_id = OBJECT_ID('ASPStateTempSessions') ORDER BY parent_column_id", "(getutcdate())", "((0))"},
		{"SELECT name FROM sys.databases WHERE state_desc = 'online' AND name = 'aspstate  '", "ASPState"},
	})
	ids := map[string]string{}
	_, all := answer(t, db, "SELECT object_id, name FROM sys.all_objects")
	for _, line := range all {
		id, name, _ := strings.Cut(line, "|")
		if ids[id] != "" {
			t.Errorf("%s and %s have the object_id %s", ids[id], name, id)
		}
		ids[id] = name
	}
}

// A metadata function whose argument is a column without a qualifier, as in every monitor of mirroring.
func TestCatalogue_functionsOfColumns(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	answersAre(t, db, [][]string{
		{"SELECT DB_NAME(database_id), mirroring_role_desc FROM sys.database_mirroring WHERE mirroring_guid IS NOT NULL", "ASPState|PRINCIPAL"},
		{"SELECT name FROM sys.databases WHERE DB_ID(name) <> database_id OR DB_ID(name) IS NULL"},
		{"SELECT name, DATABASEPROPERTYEX(name, 'Recovery'), HAS_DBACCESS(name) FROM sys.databases WHERE database_id IN (1, 5)", "master|SIMPLE|1", "ASPState|FULL|1"},
		{"SELECT name, OBJECT_ID(name) - object_id, OBJECT_ID('dbo.' + name, type) - object_id, OBJECT_NAME(object_id), SCHEMA_NAME(schema_id) FROM sys.tables WHERE name LIKE '%Epoch'",
			"MirrorStateEpoch|0|0|MirrorStateEpoch|dbo"},
		{"SELECT COL_NAME(object_id, column_id), TYPE_NAME(user_type_id), COLUMNPROPERTY(object_id, name, 'AllowsNull') FROM sys.columns WHERE OBJECT_NAME(object_id) = 'mirrorstateepoch' ORDER BY column_id",
			"Id|int|0", "Epoch|bigint|0", "Server|nvarchar|0", "FleetSecret|binary|1"},
		{"SELECT SUSER_SNAME(sid), USER_NAME(principal_id) FROM sys.database_principals WHERE name = 'dbo'", "mirrorstate|dbo"},
		{"SELECT OBJECT_SCHEMA_NAME(object_id), OBJECTPROPERTY(object_id, 'IsMSShipped') FROM sys.all_objects WHERE name IN ('databases', 'TempGetVersion') ORDER BY 2", "dbo|0", "sys|1"},
		{"SELECT name, (SELECT TOP 1 DB_NAME(database_id) FROM sys.database_mirroring m WHERE m.database_id = d.database_id) FROM sys.databases d WHERE name = 'msdb'", "msdb|msdb"},
		// The same functions with arguments that are not columns.
		{"SELECT SCHEMA_NAME(4), SCHEMA_NAME(99), SCHEMA_ID('sys'), USER_NAME(0), USER_NAME(4711), USER_ID('public'), SUSER_SNAME(0x01), SUSER_NAME(1), TYPE_NAME(231), TYPE_ID('sys.int')",
			"sys|NULL|4|public|NULL|0|NULL|mirrorstate|nvarchar|56"},
		{"SELECT OBJECT_ID('nosuch.MirrorStateEpoch'), OBJECT_ID('MirrorStateEpoch', 'P'), OBJECT_NAME(OBJECT_ID('sys.databases')), OBJECT_NAME(OBJECT_ID('PK__MirrorSta__E6C801A6D163D724')), OBJECT_NAME(OBJECT_ID('MirrorStateEpoch'), 1)",
			"NULL|NULL|databases|PK__MirrorSta__E6C801A6D163D724|NULL"},
		{"SELECT OBJECT_NAME(OBJECT_ID('ASPState..MirrorStateEpoch'), DB_ID('ASPState')), COLUMNPROPERTY(OBJECT_ID('MirrorStateEpoch'), 'server', 'Precision'), OBJECTPROPERTY(OBJECT_ID('TempGetVersion'), 'isprocedure')",
			"MirrorStateEpoch|256|1"},
	})
	for text, number := range map[string]int32{
		"SELECT OBJECT_NAME(object_id, 1) FROM sys.objects":                  40510,
		"SELECT OBJECT_ID('master..' + name) FROM sys.objects":               40510,
		"SELECT SERVERPROPERTY(name) FROM sys.objects":                       40510,
		"SELECT IS_SRVROLEMEMBER(name) FROM sys.server_principals":           40510,
		"SELECT COL_LENGTH(name, 'x') FROM sys.objects":                      40510,
		"SELECT DB_NAME(nothing) FROM sys.databases":                         207,
		"SELECT HAS_PERMS_BY_NAME(name, 'OBJECT', 'SELECT') FROM sys.tables": 40510,
	} {
		refused(t, db, text, number)
	}
}
