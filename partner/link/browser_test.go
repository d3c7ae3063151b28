package link

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
)

// A named instance that nobody can look up: the error says what that needs, and how to do without. It is down, not refused for good.
func TestConnector_NoBrowser(t *testing.T) {
	dsn, err := msdsn.Parse(`server=127.0.0.1\STATE;user id=u;password=p;encrypt=disable`)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.ListenPacket("udp", "127.0.0.1:1434"); err != nil {
		t.Skip("something answers at UDP 1434 of this machine: ", err)
	} else if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b := Budgets{}.WithDefaults()
	b.Login = 100 * time.Millisecond
	_, err = newConnector(choose.A, dsn, "ASPState", b).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "SQL Server Browser did not answer") || !strings.Contains(err.Error(), "HOST,PORT") {
		t.Errorf("got %v", err)
	}
	if got := classify.Classify(err, classify.Connecting); got != classify.Down {
		t.Errorf("its class is %v", got)
	}
}
