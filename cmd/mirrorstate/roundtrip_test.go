package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// A request that does not wait takes one call to the database, including its tags and handles. The fleet's secret and
// the application's id are read only once.
func TestHandler_OneRoundTrip(t *testing.T) {
	servers := aspstatetest.Start(t)
	for key, value := range map[string]string{
		"A_ADDRESS": strings.Replace(servers.Partner("a").Addr(), ":", ",", 1), "B_ADDRESS": strings.Replace(servers.Partner("b").Addr(), ":", ",", 1),
		"USER": servers.User(), "PASSWORD": servers.Password(), "ENCRYPT": "disable",
	} {
		t.Setenv("MIRRORSTATE_PAIR_"+key, value)
	}
	cfg, err := new(settings).load()
	if err != nil {
		t.Fatal(err)
	}
	st, err := server.NewStorage(cfg, nil, "", nil, server.NewLogger(io.Discard, false))
	if err != nil {
		t.Fatal(err)
	}
	st.Start()
	defer st.Close()
	if err := operator.AwaitPrincipal(t.Context(), st.Pair); err != nil {
		t.Fatal(err)
	}
	api, err := proxy.NewAPI(proxy.Config{Store: st.Store, FleetSecret: st.Store.FleetSecret})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(api)
	defer srv.Close()
	calls := func() (n int64) {
		for _, calls := range servers.Partner("a").Counters().Calls {
			n += calls
		}
		return n
	}
	const sessions = "/v1/apps/default/sessions"
	send := func(took int64, method, path, body string, header ...string) http.Header {
		t.Helper()
		before := calls()
		h, _ := must(t, []int{200, 201, 204, 304}, method, srv.URL+path, body, header...)
		if n := calls() - before; n != took {
			t.Errorf("%s %s took %d round trips, want %d", method, path, n, took)
		}
		return h
	}
	path := send(3, "POST", sessions, "one").Get("Location") // the application's id and the secret, once
	tag := send(1, "GET", path, "").Get("ETag")
	send(1, "GET", path, "", "If-None-Match", tag)
	send(1, "PUT", path, "two", "If-Match", tag, "Idempotency-Key", "a")
	lock := send(1, "POST", path+"/lock", "", "Idempotency-Key", "b").Get("Session-Lock")
	send(1, "PUT", path+"?keep=lock", "three", "Session-Lock", lock)
	send(1, "POST", path+"/touch", "")
	send(1, "DELETE", path+"/lock", "", "Session-Lock", lock)
	send(1, "POST", sessions, "one", "Idempotency-Key", "c")
	send(1, "DELETE", path, "")
}
