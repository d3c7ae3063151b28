package tsql

import (
	"errors"
	"testing"
)

// FuzzParseObjects checks that any text gives a function and a trigger, or an *Error.
func FuzzParseObjects(f *testing.F) {
	for _, text := range []string{
		"CREATE FUNCTION dbo.f (@a int = 1, @b varchar(5)) RETURNS decimal(9, 2) WITH SCHEMABINDING AS BEGIN DECLARE @c int = dbo.f(@a - 1, DEFAULT) WHILE @c > 0 SET @c -= 1 RETURN @c END",
		"ALTER FUNCTION f () RETURNS int WITH RETURNS NULL ON NULL INPUT AS BEGIN IF EXISTS (SELECT 1 FROM t) RETURN 1 RETURN (SELECT MAX(a) FROM t) END",
		"CREATE OR ALTER TRIGGER r ON t FOR INSERT, UPDATE AS IF UPDATE(a) AND NOT UPDATE(b) UPDATE t SET a = i.a FROM t JOIN inserted i ON i.a = t.a ROLLBACK TRAN",
		"CREATE TRIGGER r ON dbo.t AFTER DELETE NOT FOR REPLICATION AS INSERT INTO u SELECT TRIGGER_NESTLEVEL(), a FROM deleted",
	} {
		f.Add(text)
	}
	schema := func(n Name) []Column {
		if n.Schema == FunctionSchema && n.Object != "f" {
			return nil
		}
		return []Column{{Name: "a", Type: intType}, {Name: "b", Type: textType}}
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ParseFunction(text, schema)
		_, head := ParseFunctionHead(text)
		_, trigger := ParseTrigger(text, schema)
		_, triggerHead := ParseTriggerHead(text)
		for _, err := range []error{err, head, trigger, triggerHead} {
			if _, ok := errors.AsType[*Error](err); err != nil && !ok {
				t.Errorf("%q: %T", text, err)
			}
		}
		if err == nil && head != nil || trigger == nil && triggerHead != nil {
			t.Errorf("%q: the head alone must not fail: %v, %v", text, head, triggerHead)
		}
	})
}
