package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// A PUT that is held while there is no principal is not executed if its key is revoked meanwhile.
func TestServe_RevokedWhileHeld(t *testing.T) {
	dir := t.TempDir()
	file, yaml := filepath.Join(dir, "keys.json"), filepath.Join(dir, "mirrorstate.yaml")
	add := func(e keyring.Entry) (auth []string, id string) {
		t.Helper()
		key, id, err := keyring.Add(file, e, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return []string{"Authorization", "Bearer " + key}, id
	}
	shop, id := add(keyring.Entry{Name: "shop", Rights: []string{"read", "write"}, Apps: []string{"default"}})
	op, _ := add(keyring.Entry{Name: "op", Rights: []string{"operator", "read"}, Apps: []string{"default"}})
	if err := os.WriteFile(yaml, []byte("auth: {keys_file: "+file+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, filepath.Join(dir, "data"), "--config", yaml)
	session := p.api + "/v1/apps/default/sessions/x"
	must(t, []int{201}, "PUT", session, "before", shop...)
	p.auth = op
	both := func(fault string) {
		for _, partner := range []string{"b", "a"} {
			p.fault(t, `{"partner":"`+partner+`","fault":"`+fault+`"}`)
		}
	}
	both("stop")
	type answer struct {
		status int
		text   string
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		status, _, text, err := request(ctx, "PUT", session, "after", shop...)
		answered <- answer{status, text, err}
	}()
	p.until(t, "holding the put", func(st server.PairStatus) bool { return st.Holding > 0 })
	if _, err := keyring.Revoke(file, id); err != nil {
		t.Fatal(err)
	}
	p.until(t, "refusing the revoked key", func(server.PairStatus) bool {
		_, answer := must(t, []int{401, 403}, "GET", p.admin+"/v1/pair", "", shop...)
		return strings.Contains(answer, "unauthorized")
	})
	both("start")
	if a := <-answered; a.err != nil || a.status != 401 || !strings.Contains(a.text, "problems/unauthorized") {
		t.Errorf("the caller with the revoked key got %d %s, %v", a.status, a.text, a.err)
	}
	if _, item := must(t, []int{200}, "GET", session, "", op...); item != "before" {
		t.Errorf("the session holds %q", item)
	}
}

// A caller with access to all applications can add new ones up to its bound, but none whose id collides with another
// one. Existing applications do not count.
func TestServe_NewApplications(t *testing.T) {
	p, keys := startWithKeys(t, "limits: {new_applications: 2}\n", []string{"all:read,write:*", "rest:read,write:*"})
	put := func(caller, app string, want int) string {
		t.Helper()
		_, text := must(t, []int{want}, "PUT", p.api+"/v1/apps/"+url.PathEscape(app)+"/sessions/x", "x", "Authorization", "Bearer "+keys[caller])
		return text
	}
	put("all", "/new/xt", 201)
	if text := put("all", "/new/z6", 409); !strings.Contains(text, "application-collision") || !strings.Contains(text, "not-applied") {
		t.Errorf("two names with the same application id: %s", text)
	}
	if text := put("all", "/new/2", 429); !strings.Contains(text, "limits.new_applications") {
		t.Errorf("one application too many: %s", text)
	}
	put("all", "/new/xt", 204)
	put("all", "/LM/W3SVC/1/ROOT", 201)
	put("rest", "/new/2", 201)
	put("all", "/new/2", 204)
}

// In an outage the held items of one caller fill the memory for items. The item of another caller still gets a place,
// and is stored when there is a principal again.
func TestServe_HeldItemsShareMemory(t *testing.T) {
	const floods, size, other = 8, 100 << 10, 300 << 10
	p, keys := startWithKeys(t, "limits: {bytes: 1MiB}\n", []string{"flood:write:default", "good:write:default", "op:operator:"})
	p.auth = []string{"Authorization", "Bearer " + keys["op"]}
	must(t, []int{201}, "PUT", p.api+"/v1/apps/default/sessions/first", "x", "Authorization", "Bearer "+keys["good"])
	both := func(fault string) {
		for _, partner := range []string{"b", "a"} {
			p.fault(t, `{"partner":"`+partner+`","fault":"`+fault+`"}`)
		}
	}
	put := func(caller, id string, size int, ended chan<- string) {
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		status, _, text, err := request(ctx, "PUT", p.api+"/v1/apps/default/sessions/"+id, strings.Repeat("x", size), "Authorization", "Bearer "+keys[caller])
		if err != nil {
			t.Error(err)
		}
		if status == 429 && !strings.Contains(text, `"not-applied"`) {
			t.Errorf("refused with %s", text)
		}
		ended <- fmt.Sprintf("%s %d", caller, status)
	}
	both("stop")
	ended := make(chan string, floods+1)
	for i := range floods {
		go put("flood", fmt.Sprintf("of-flood%d", i), size, ended)
	}
	p.until(t, "holding the flood", func(st server.PairStatus) bool { return st.Hold.Bytes == floods*size })
	go put("good", "of-good", other, ended)
	if got := <-ended; got != "flood 429" {
		t.Errorf("the request that was dropped for the other caller's item got %s", got)
	}
	p.until(t, "holding the other caller's item", func(st server.PairStatus) bool { return st.Hold.Bytes == (floods-1)*size+other })
	both("start")
	got := make([]string, 0, floods)
	for range floods {
		got = append(got, <-ended)
	}
	slices.Sort(got)
	if want := append(slices.Repeat([]string{"flood 201"}, floods-1), "good 201"); !slices.Equal(got, want) {
		t.Errorf("after the outage got %v, want %v", got, want)
	}
}
