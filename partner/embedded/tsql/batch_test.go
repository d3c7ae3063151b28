package tsql

import (
	"errors"
	"reflect"
	"testing"
)

// kindsOf returns the kinds of a batch's statements, nested ones in
// parentheses.
func kindsOf(list []Statement) string {
	text := ""
	for _, s := range list {
		text += " " + reflect.TypeOf(s).Elem().Name()
		switch s := s.(type) {
		case *While:
			text += "(" + kindsOf(s.Body) + ")"
		case *If:
			text += "(" + kindsOf(s.Then) + "/" + kindsOf(s.Else) + ")"
		case *Try:
			text += "(" + kindsOf(s.Body) + "/" + kindsOf(s.Catch) + ")"
		}
	}
	return text
}

func TestParse_FlowInBatches(t *testing.T) {
	for batch, want := range map[string]string{
		"WHILE @i < 3 BEGIN SET @i += 1 IF @i = 2 CONTINUE; BREAK END":              " While( Assign If( Continue/) Break)",
		"BEGIN TRY SELECT 1 END TRY BEGIN CATCH THROW; END CATCH SELECT 2":          " Try( Query/ Throw) Query",
		"BEGIN TRY BEGIN TRAN COMMIT END TRY BEGIN CATCH IF 1 = 1 RETURN END CATCH": " Try( Transaction Transaction/ If( Return/))",
		"RAISERROR('x %d', 16, 1, 5) WITH NOWAIT; THROW 50001, 'm', 1":              " RaiseError Throw",
		"IF 1 = 1 BEGIN PRINT 'a' RETURN END ELSE PRINT 'b'":                        " If( Print Return/ Print)",
	} {
		list, err := Parse(batch)
		if got := kindsOf(list); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", batch, got, err, want)
		}
	}
}

func TestParse_QuotedIdentifier(t *testing.T) {
	for _, c := range []struct {
		batch string
		on    bool
		want  string
	}{
		{`SELECT "a"`, true, `SELECT [a] AS [a]`},
		{`SELECT "a'b""c"`, false, `SELECT 'a''b"c' AS []`},
		{`SELECT [a]`, false, `SELECT [a] AS [a]`},
		{`SET QUOTED_IDENTIFIER OFF SELECT "a"`, true, `SELECT 'a' AS []`},
		{`set ansi_nulls, quoted_identifier off select "a"`, true, `SELECT 'a' AS []`},
		{`SET QUOTED_IDENTIFIER ON; SELECT "a"`, false, `SELECT [a] AS [a]`},
		{`SET ANSI_NULLS OFF SELECT "a"`, true, `SELECT [a] AS [a]`},
		{`IF 1 = 0 SET QUOTED_IDENTIFIER OFF SELECT "a"`, true, `SELECT 'a' AS []`}, // when it is parsed, not when it runs
	} {
		list, err := ParseQuoted(c.batch, nil, c.on, nil)
		if err != nil {
			t.Errorf("%s: %v", c.batch, err)
			continue
		}
		if got := list[len(list)-1].(*Query).SQL; got != c.want {
			t.Errorf("%s (%v): %s, want %s", c.batch, c.on, got, c.want)
		}
	}
}

// The BACKUP and RESTORE statements of Management Studio and of portable scripts.
func TestParse_Media(t *testing.T) {
	for batch, want := range map[string]Statement{
		"BACKUP DATABASE [d] TO DISK = N'd.bak' WITH NOFORMAT, NOINIT, NAME = N'd-Full Database Backup', SKIP, NOREWIND, NOUNLOAD, COMPRESSION, STATS = 10, CHECKSUM": &Backup{
			position: 1, Database: "d", File: "d.bak", Append: true},
		"BACKUP LOG d TO DISK = 'x' WITH FORMAT, INIT, MEDIANAME = 'm', STATS, COPY_ONLY, NO_COMPRESSION, BLOCKSIZE = 4096": &Backup{position: 1, Log: true, Database: "d", File: "x"},
		"RESTORE DATABASE [d] FROM DISK = N'd.bak' WITH FILE = 1, MOVE N'd' TO N'/x/d.mdf', MOVE N'd_log' TO N'/x/d.ldf', NORECOVERY, NOUNLOAD, REPLACE, STATS = 5": &Restore{
			position: 1, What: "DATABASE", Database: "d", File: "d.bak", NoRecovery: true, Replace: true, Set: 1},
		"RESTORE LOG d FROM DISK = 'x' WITH FILE = 2, RECOVERY": &Restore{position: 1, What: "LOG", Database: "d", File: "x", Set: 2},
		"RESTORE FILELISTONLY FROM DISK = 'x' WITH NOUNLOAD":    &Restore{position: 1, What: "FILELISTONLY", File: "x", Set: 1},
		"RESTORE DATABASE d WITH RECOVERY":                      &Restore{position: 1, What: "DATABASE", Database: "d", Set: 1},
		"CREATE ENDPOINT [Mirroring] AUTHORIZATION [sa] STATE=STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATA_MIRRORING (ROLE = PARTNER, AUTHENTICATION = WINDOWS NEGOTIATE, ENCRYPTION = REQUIRED ALGORITHM RC4)": &ServerObject{
			position: 1, Kind: "ENDPOINT", Name: "Mirroring", Port: 5022, Role: "PARTNER"},
		"CREATE ENDPOINT e STATE = STARTED AS TCP (LISTENER_PORT = 7022, LISTENER_IP = (10.0.75.1)) FOR DATABASE_MIRRORING (AUTHENTICATION = WINDOWS KERBEROS CERTIFICATE c, ROLE = ALL)": &ServerObject{
			position: 1, Kind: "ENDPOINT", Name: "e", Port: 7022, Role: "ALL", Certificate: "c"},
		"ALTER DATABASE d SET SAFETY FULL": &AlterDatabase{position: 1, Database: "d", Clause: PartnerSafety, Argument: "FULL"},
		"ALTER DATABASE d SET SAFETY OFF;": &AlterDatabase{position: 1, Database: "d", Clause: PartnerSafety, Argument: "OFF"},
	} {
		list, err := Parse(batch)
		if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", batch, list, err, want)
		}
	}
}

func TestParse_MediaRefused(t *testing.T) {
	for batch, want := range map[string]int32{
		"BACKUP DATABASE d TO DISK = 'x' WITH DIFFERENTIAL":                               40510,
		"BACKUP DATABASE d TO DISK = 'x', DISK = 'y'":                                     40510,
		"BACKUP DATABASE d TO URL = 'x'":                                                  40510,
		"BACKUP DATABASE d TO DISK = @file":                                               40510,
		"BACKUP DATABASE @d TO DISK = 'x'":                                                40510,
		"BACKUP DATABASE d TO device":                                                     40510,
		"BACKUP DATABASE d FILEGROUP = 'f' TO DISK = 'x'":                                 40510,
		"BACKUP LOG d TO DISK = 'x' WITH NORECOVERY":                                      40510,
		"BACKUP LOG d TO DISK = 'x' WITH INIT, RETAINDAYS = 3":                            40510,
		"BACKUP LOG d TO DISK = 'x' WITH FROBNICATE":                                      155,
		"BACKUP LOG d TO DISK = 'x' WITH NAME = ":                                         102,
		"RESTORE DATABASE d FROM DISK = 'x' WITH STANDBY = 'y'":                           40510,
		"RESTORE LOG d FROM DISK = 'x' WITH STOPAT = '2020-01-01'":                        40510,
		"RESTORE DATABASE d FROM DATABASE_SNAPSHOT = 's'":                                 40510,
		"CREATE ENDPOINT e STATE = STOPPED AS TCP (LISTENER_PORT = 1)":                    40510,
		"CREATE ENDPOINT e STATE = STARTED AS TCP (LISTENER_PORT = 1) FOR TSQL ()":        40510,
		"CREATE ENDPOINT e STATE = STARTED AS TCP (LISTENER_PORT = 1) FOR DATA_MIRRORING": 102,
	} {
		list, err := Parse(batch)
		if e, ok := errors.AsType[*Error](err); !ok || e.Number != want {
			t.Errorf("%s: %v, %v; want %d", batch, list, err, want)
		}
	}
}
