package main

import (
	"path/filepath"
	"testing"
)

func TestMemoryFile(t *testing.T) {
	one := memoryFile("/state", "ASPState", "SQL1", "sql2,1444")
	if filepath.Dir(one) != "/state" || one != memoryFile("/state", "aspstate", "SQL2,1444", "sql1") {
		t.Errorf("the same pair the other way round has another file than %s", one)
	}
	for _, other := range []string{memoryFile("/state", "ASPState", "SQL1", "SQL3"), memoryFile("/state", "Other", "SQL1", "sql2,1444")} {
		if other == one {
			t.Errorf("another pair has the same file %s", one)
		}
	}
	if got := memoryFile("", "ASPState", "SQL1", "SQL2"); got != "" {
		t.Errorf("without a folder there is %s", got)
	}
}
