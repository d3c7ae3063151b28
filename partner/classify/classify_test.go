package classify

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/sony/gobreaker/v2"
)

// reply returns a reply with these errors, first to last. The driver's error shows the last.
func reply(class uint8, numbers ...int32) error {
	var all []mssql.Error
	for _, n := range numbers {
		all = append(all, mssql.Error{Number: n, Class: class})
	}
	e := all[len(all)-1]
	e.All = all
	return e
}

func TestClassify_ByNumber(t *testing.T) {
	numbers := map[Class][]int32{
		Again: {1205, 1204, 1222, 3960, 701, 802, 8628, 8645, 8651, 17197, 615, 10928, 10929, 40501, 49918, 49919, 49920},
		Moved: {4063, 4060, 4064, 954, 927, 976, 978, 3906, 942, 945, 926},
		Wait:  {955, 983, 988, 956, 952, 921, 922, 941, 913, 6005, 17142, 18401, 18451, 40613},
		Permanent: {18456, 18452, 18450, 18486, 18487, 18488, 916, 229, 230, 911, 208, 2812, 979,
			2627, 2601, 8152, 2628, 245, 8114, 547, 1101, 1105, 9002, 50000},
	}
	for want, list := range numbers {
		for _, n := range list {
			for _, phase := range []Phase{Connecting, Executing} {
				if got := Classify(reply(14, n), phase); got != want {
					t.Errorf("%d in phase %d: got %s, want %s", n, phase, got, want)
				}
			}
		}
	}
	for _, n := range []int32{596, 3617, 0} {
		if got := Classify(reply(16, n), Executing); got != Ambiguous {
			t.Errorf("%d executing: got %s, want ambiguous", n, got)
		}
		if got := Classify(reply(16, n), Connecting); got != Down {
			t.Errorf("%d connecting: got %s, want down", n, got)
		}
	}
}

func TestClassify(t *testing.T) {
	refusedDial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	noSuchHost := &net.DNSError{Err: "no such host", Name: "sql1", IsNotFound: true}
	tests := []struct {
		name       string
		err        error
		connecting Class
		executing  Class
	}{
		{"mirror's login reply, 4060 first", reply(14, 4060, 18456), Moved, Moved},
		{"the same errors in reverse order", reply(14, 18456, 4063), Moved, Moved},
		{"wrong password alone", reply(14, 18456), Permanent, Permanent},
		{"a kill and the role change that caused it", reply(21, 596, 954), Moved, Moved},
		{"a kill and the lost quorum that caused it", reply(21, 596, 955), Wait, Wait},
		{"a kill without another error", reply(21, 596), Down, Ambiguous},
		{"a fatal class without a known number", reply(21, 99999), Down, Ambiguous},
		{"a fatal class with a known number", reply(22, 913), Wait, Wait},
		{"a fatal error among others", reply(20, 50000, 50001), Down, Ambiguous},
		{"wrapped", fmt.Errorf("acquire: %w", reply(13, 1205)), Again, Again},
		{"the op says moved", fmt.Errorf("acquire: %w", ErrMoved), Moved, Moved},
		{"the op says late", fmt.Errorf("acquire: %w", ErrLate), Again, Again},
		{"pool busy", fmt.Errorf("%w: %w", ErrPoolBusy, context.DeadlineExceeded), Again, Again},
		{"breaker open", gobreaker.ErrOpenState, Down, Down},
		{"breaker half-open", gobreaker.ErrTooManyRequests, Down, Down},
		{"cancelled", context.Canceled, CallerGone, CallerGone},
		{"deadline", context.DeadlineExceeded, Down, Ambiguous},
		{"dial refused", refusedDial, Down, Ambiguous},
		{"name not found", noSuchHost, Down, Ambiguous},
		{"EOF", io.EOF, Down, Ambiguous},
		{"EOF as the driver returns it", &net.OpError{Op: "Read", Err: io.EOF}, Down, Ambiguous},
		{"unexpected EOF", io.ErrUnexpectedEOF, Down, Ambiguous},
		{"socket closed", net.ErrClosed, Down, Ambiguous},
		{"cancel request not confirmed", mssql.StreamError{InnerError: errors.New("did not get cancellation confirmation")}, Down, Ambiguous},
		{"server error", mssql.ServerError{}, Down, Ambiguous},
		{"request not sent completely", driver.ErrBadConn, Down, Again},
		{"connection closed", sql.ErrConnDone, Down, Ambiguous},
		{"certificate", errors.New("TLS Handshake failed: x509: certificate signed by unknown authority"), Permanent, Permanent},
		{"server without encryption", errors.New("server does not support encryption"), Permanent, Permanent},
		{"no rows", sql.ErrNoRows, Down, Permanent},
		{"the op's own answer", errors.New("session not found"), Down, Permanent},
	}
	for _, tt := range tests {
		if got := Classify(tt.err, Connecting); got != tt.connecting {
			t.Errorf("%s, connecting: got %s, want %s", tt.name, got, tt.connecting)
		}
		if got := Classify(tt.err, Executing); got != tt.executing {
			t.Errorf("%s, executing: got %s, want %s", tt.name, got, tt.executing)
		}
	}
}

func TestFatal(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"class 20 and above", reply(20, 50000), true},
		{"class 16", reply(16, 50000), false},
		{"class 21 before an error of low severity", mssql.Error{Number: 2, Class: 10, All: []mssql.Error{{Number: 1, Class: 21}, {Number: 2, Class: 10}}}, true},
		{"no answer", io.EOF, true},
		{"an answer", sql.ErrNoRows, false},
	}
	for _, tt := range tests {
		if got := Fatal(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
