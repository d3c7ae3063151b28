package proxy_test

import (
	"sync"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// Callers that spell a session's id differently wait in the same queue.
func TestAPI_OneQueueHoweverSpelled(t *testing.T) {
	s := serve(t, proxy.Config{Limits: proxy.Limits{WaitersPerSession: 1}})
	const lower, upper = sessions + "/own-id", sessions + "/OWN-ID"
	s.want(201, "PUT", lower, "one")
	lock := s.acquire(lower)
	var waits sync.WaitGroup
	granted := make(chan string, 1)
	defer waits.Wait()
	defer s.api.StopWaiting()
	waits.Go(func() {
		r := s.send("POST", upper+"/lock?wait=30s", "")
		granted <- r.Header.Get("Session-Lock")
	})
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 1 })
	_, p := s.wantProblem(429, "overloaded", "POST", lower+"/lock?wait=1s", "")
	if p.Detail != "1 calls wait for this session already" {
		t.Errorf("turned away with %q", p.Detail)
	}
	s.want(204, "DELETE", lower+"/lock", "", "Session-Lock", lock)
	lock = <-granted
	s.want(204, "PUT", lower, "two", "Session-Lock", lock)
}

// An Idempotency-Key names one operation of a session, however the session's id is spelled.
func TestAPI_OneOperationHoweverSpelled(t *testing.T) {
	s := serve(t, proxy.Config{})
	const lower, upper = sessions + "/own-id", sessions + "/Own-ID"
	s.want(201, "PUT", lower, "one", "If-None-Match", "*", "Idempotency-Key", "k1")
	s.want(201, "PUT", upper, "one", "If-None-Match", "*", "Idempotency-Key", "k1")
	lock := s.want(200, "POST", upper+"/lock", "", "Idempotency-Key", "k2").Header.Get("Session-Lock")
	if again := s.want(200, "POST", lower+"/lock", "", "Idempotency-Key", "k2").Header.Get("Session-Lock"); again != lock {
		t.Error("an acquire that is sent again with another spelling has another handle")
	}
	s.want(204, "DELETE", lower, "", "Session-Lock", lock, "Idempotency-Key", "k3")
	s.want(201, "PUT", upper, "two")
	s.want(204, "DELETE", upper, "", "Session-Lock", lock, "Idempotency-Key", "k3")
	s.content(s.want(200, "GET", lower, ""), "two")
}
