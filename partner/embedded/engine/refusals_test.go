package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/logins"
	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

func from(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

func TestFailedLogins_delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		f := &logins.FailedLogins{}
		try := func(ip string) time.Duration {
			began := time.Now()
			f.Failed(t.Context(), logger, from(ip), "sa")
			return time.Since(began)
		}
		var delays []time.Duration
		for range 10 {
			delays = append(delays, try("192.0.2.1"))
		}
		ms := time.Millisecond
		if got, want := fmt.Sprint(delays), fmt.Sprint([]time.Duration{0, 0, 0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, logins.LongestDelay, logins.LongestDelay}); got != want {
			t.Errorf("delays %s, want %s", got, want)
		}
		if n := strings.Count(log.String(), "login failed"); n != 1 || !strings.Contains(log.String(), "user=sa peer=192.0.2.1 times=1") {
			t.Errorf("one line was expected within %v:\n%s", logins.RefusalEvery, &log)
		}
		try("192.0.2.1")
		try("192.0.2.1") // more than RefusalEvery after the first
		if !strings.Contains(log.String(), "times=11") {
			t.Errorf("the later line does not count the failures without a line:\n%s", &log)
		}
		if d := try("192.0.2.2"); d != 0 {
			t.Errorf("another peer waits for %v", d)
		}
		time.Sleep(logins.ForgetFailures)
		if d := try("192.0.2.1"); d != 0 {
			t.Errorf("a peer without failures for %v waits for %v", logins.ForgetFailures, d)
		}
	})
}

func TestFailedLogins_bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		f, logger := &logins.FailedLogins{}, slog.New(slog.NewTextHandler(io.Discard, nil))
		var all sync.WaitGroup
		for _, ip := range []string{"192.0.2.1", "127.0.0.1"} {
			for range logins.FreeFailures + logins.MaxDelayed + 5 {
				all.Go(func() { f.Failed(ctx, logger, from(ip), "sa") })
			}
		}
		synctest.Wait()
		if f.Delayed != 2*logins.MaxDelayed {
			t.Errorf("%d answers are delayed, want %d of each peer", f.Delayed, logins.MaxDelayed)
		}
		if !f.AtLimit(from("192.0.2.1")) || f.AtLimit(from("192.0.2.2")) || f.AtLimit(from("127.0.0.1")) {
			t.Error("only the peer at its limit, and not this machine, must be refused without a password check")
		}
		stop() // a server that stops waits for no delayed answer
		all.Wait()
		if f.Delayed != 0 || f.AtLimit(from("192.0.2.1")) {
			t.Errorf("%d answers are still delayed", f.Delayed)
		}
		for i := range logins.MaxPeers + 100 {
			f.Failed(t.Context(), logger, from(fmt.Sprintf("10.0.%d.%d", i/256, i%256)), "sa")
		}
		if len(f.Peers) > logins.MaxPeers {
			t.Errorf("%d peers are kept", len(f.Peers))
		}
	})
}

func TestFailedLogins_refusalOfAMirrorDoesNotCount(t *testing.T) {
	pair, err := Open(mirror.Options{Schema: schema.Script(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer pair.Close()
	b := pair.Partner("b")
	for range 2 * logins.FreeFailures {
		_, _, err = b.Login(t.Context(), &tds.Login{User: pair.User(), Password: pair.Password(), Database: mirror.DatabaseName, DatabaseFatal: true, RemoteAddr: from("192.0.2.1")})
		if err == nil {
			t.Fatal("the mirror accepts a client in its database")
		}
	}
	if c := b.Counters(); c.Failed != 0 || c.Refused != 2*logins.FreeFailures || len(b.failures.Peers) != 0 {
		t.Errorf("the mirror's refusals count as failed logins: %+v", c)
	}
}

func TestPeerOf(t *testing.T) {
	for a, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1:2:3:4": "2001:db8::", "2001:db8::ffff:0:0:1": "2001:db8::", "::1": "::1"} {
		if got, ok := logins.PeerOf(from(a)); !ok || got.String() != want {
			t.Errorf("%s: %v, want %s", a, got, want)
		}
	}
}
