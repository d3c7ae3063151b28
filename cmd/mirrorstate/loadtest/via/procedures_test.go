package via

import (
	"errors"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
)

// The driver's error has the number of the last error of an answer; .NET shows the first.
func TestDriverError_FirstNumber(t *testing.T) {
	killed := mssql.Error{Number: 954, Class: 14, All: []mssql.Error{{Number: 596, Class: 21}, {Number: 954, Class: 14}}}
	for want, err := range map[string]error{"sql-596": killed, "sql-1205": mssql.Error{Number: 1205}, "connection": errors.New("read: EOF")} {
		named, ok := errors.AsType[*measure.ProblemError](driverError(err))
		if !ok || named.Name != want {
			t.Errorf("%v: %v, want %s", err, driverError(err), want)
		}
	}
}
