package partner

import (
	"fmt"
	"strings"
)

// noInstance is what the driver says where SQL Server Browser did not answer, or does not know the instance: it does
// not tell the two apart, and drops the reason.
// Source: go-mssqldb's protocol.go, seen.
const noInstance = "no instance matching"

// advisedOfBrowser is err, and what to do about it if a named instance was not found.
func advisedOfBrowser(err error) error {
	if err == nil || !strings.Contains(err.Error(), noInstance) {
		return err
	}
	return fmt.Errorf("%w; SQL Server Browser did not answer, or does not know that instance: start the service there and open UDP port 1434 to it, or give the instance's port, HOST,PORT, which needs no Browser", err)
}
