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

// The instance name cannot be resolved. The error says what SQL Server Browser needs, and how to connect
// without it. Its class is Down and not Permanent, so the connection is tried again.
func TestConnector_SQLServerBrowserDoesNotAnswer(t *testing.T) {
	dsn, err := msdsn.Parse(`server=127.0.0.1\STATE;user id=u;password=p;encrypt=disable`)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.ListenPacket("udp", "127.0.0.1:1434"); err != nil {
		t.Skip("UDP port 1434 of this machine is in use: ", err)
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
		t.Errorf("the class is %v, want down", got)
	}
}
