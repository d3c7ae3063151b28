package tds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// The leadership of a connection may pass on while a request runs, or just before or just
// after it ends. In each case every caller must get the response to its own request, and a
// cancelled request must leave its connection usable.
func TestLead_PassesOnAtAnyTime(t *testing.T) {
	f := &fake{batch: func(ctx context.Context, text string, w *Response) error {
		work := time.NewTimer(rand.N(2 * watchAfter))
		defer work.Stop()
		select {
		case <-work.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.Columns(Column{"text", NVarChar(100)})
		return w.Row(text)
	}}
	db := serve(t, f)
	db.SetMaxOpenConns(4)
	var wg sync.WaitGroup
	for client := range 4 {
		wg.Go(func() {
			for n := range 100 {
				ctx, cancel := context.WithCancel(bound(t))
				if n%3 == 0 {
					time.AfterFunc(rand.N(2*watchAfter), cancel)
				}
				want, got := fmt.Sprintf("select %d, %d", client, n), ""
				err := db.QueryRowContext(ctx, want).Scan(&got)
				cancelled := errors.Is(err, context.Canceled) && n%3 == 0
				if !cancelled && (err != nil || got != want) {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// A session may keep the values of its call, although the connection reuses its memory for
// the next request.
func TestCall_ValuesMayBeKept(t *testing.T) {
	for _, size := range []int{100, 5000, 500_000} {
		var kept [][]byte
		f := &fake{call: func(_ context.Context, c *Call, _ *Response) error {
			kept = append(kept, c.Params[0].Value.([]byte))
			return nil
		}}
		client, _ := dial(t, &Server{Handler: f})
		for n := range byte(4) {
			value := bytes.Repeat([]byte{n}, size)
			typ := VarBinary(size)
			body := append([]byte(allHeaders), rpcCall("p", []Param{{Name: "@x", Type: typ, Value: value}})...)
			var wire []byte
			for rest := body; len(rest) > 0; {
				part := rest[:min(4088, len(rest))]
				rest = rest[len(part):]
				status := byte(0)
				if len(rest) == 0 {
					status = statusFinal
				}
				wire = append(appendHeader(wire, packetRPC, status, headerSize+len(part), 0, 1), part...)
			}
			ask(t, client, wire)
		}
		for n, value := range kept {
			if !bytes.Equal(value, bytes.Repeat([]byte{byte(n)}, size)) {
				t.Errorf("size %d: value %d was overwritten", size, n)
			}
		}
	}
}

func TestServe_EndsWithItsListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	f := &fake{}
	go func() { ended <- (&Server{Handler: f}).Serve(t.Context(), ln) }()
	db := open(t, ln.Addr().String(), "encrypt=disable")
	if err := db.PingContext(bound(t)); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := receive(t, ended, "end of Serve"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if got := f.seen(); got[len(got)-1] != "close" {
		t.Errorf("events %v: the connection did not end with Serve", got)
	}
}
