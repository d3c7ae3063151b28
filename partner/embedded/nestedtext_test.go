package embedded_test

import (
	"slices"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// Source: the manual's sp_executesql.
func TestExecuteSQL_InTexts(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	for text, want := range map[string]string{
		"DECLARE @n int EXEC sp_executesql N'SET @x = @y + 1', N'@y int, @x int OUTPUT', 4, @n OUTPUT SELECT @n":           "5",
		"DECLARE @n int EXEC sp_executesql N'SET @x = @y + 1', N'@y int, @x int OUTPUT', @x = @n OUTPUT, @y = 6 SELECT @n": "7",
		"DECLARE @n int EXEC sp_executesql N'SET @x = 1', N'@x int', 8 SELECT @n":                                          "",
		"DECLARE @r int EXEC @r = sp_executesql N'SELECT 1/0' SELECT @r":                                                   "8134",
		"DECLARE @r int = 5 EXEC @r = sp_executesql N'SELECT 1' SELECT @r":                                                 "0",
		"EXEC sp_executesql N'EXEC sp_executesql N''SELECT @@NESTLEVEL'' PRINT ''x'''":                                     "2",
		"EXEC sp_executesql N'SELECT @a', N'@a varchar(2)', 'abc'":                                                         "ab",
	} {
		if got := c.last(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	c.fails("8145 EXEC sp_executesql N'SELECT 1', N'@a int', @b = 1", "8144 EXEC sp_executesql N'SELECT 1', N'@a int', 1, 2", "8178 EXEC sp_executesql N'SELECT @a', N'@a int'",
		"2715 EXEC sp_executesql N'SELECT 1', N'@a frob', 1", "137 EXEC sp_executesql N'SELECT @b', N'@a int', 1")
	// A text that calls itself ends at the nesting limit.
	got := c.do("DECLARE @t nvarchar(max) = N'EXEC sp_executesql @t, N''@t nvarchar(max)'', @t' EXEC sp_executesql @t, N'@t nvarchar(max)', @t")
	if !slices.Equal(got, []int32{217}) {
		t.Errorf("errors %d", got)
	}
}
