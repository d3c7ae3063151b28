package proxy_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// A stream that was opened with a key ends soon after the key is revoked.
func TestEvents_KeyRevoked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	add := func(name string) (key, id string) {
		key, id, err := keyring.Add(path, keyring.Entry{Name: name, Rights: []string{"observe"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return key, id
	}
	add("other")
	key, id := add("one")
	keys := openKeys(t, path, keyring.Options{})
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		h, err := proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: &pair{}, Events: src, Keys: keys, Local: true})
		if err != nil {
			t.Fatal(err)
		}
		rec := &lockedRecorder{ResponseRecorder: httptest.NewRecorder()}
		req := local("/v1/pair/events")
		req.Header.Set("Authorization", "Bearer "+key)
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(rec, req)
		}()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if text := rec.text(); strings.Count(text, ": alive") != 1 {
			t.Fatalf("before: %q", text)
		}
		if _, err := keyring.Revoke(path, id); err != nil {
			t.Fatal(err)
		}
		if err := keys.Reload(); err != nil {
			t.Fatal(err)
		}
		<-done
		<-src.stopped
		if text := rec.text(); !strings.HasSuffix(text, "data: {\"reason\":\"the key was revoked, or has expired\"}\n\n") {
			t.Errorf("the stream ends with %q", text)
		}
	})
}

// A call that waits for a lock ends when its key is revoked or expires.
func TestWait_KeyRevoked(t *testing.T) {
	for _, c := range []struct {
		name   string
		lives  time.Duration
		revoke bool
		want   int
	}{
		{"revoked", time.Hour, true, 401},
		{"at its end", 5 * time.Second, false, 401},
		{"good", time.Hour, false, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "keys.json")
				e := keyring.Entry{Name: "a", Rights: []string{"read", "write", "lock"}, Apps: []string{"default"}}
				holder, _, err := keyring.Add(path, e, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				e.Expires = time.Now().Add(c.lives)
				key, id, err := keyring.Add(path, e, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				keys := openKeys(t, path, keyring.Options{})
				api, err := proxy.NewAPI(proxy.Config{Store: memory.New(time.Now), Keys: keys})
				if err != nil {
					t.Fatal(err)
				}
				do := func(key, method, path string, headers ...string) *httptest.ResponseRecorder {
					r := httptest.NewRequest(method, path, nil)
					r.Header.Set("Authorization", "Bearer "+key)
					for i := 0; i < len(headers); i += 2 {
						r.Header.Set(headers[i], headers[i+1])
					}
					rec := httptest.NewRecorder()
					api.ServeHTTP(rec, r)
					return rec
				}
				do(holder, "PUT", sessions+"/x")
				lock := do(holder, "POST", sessions+"/x/lock").Header().Get("Session-Lock")
				got := make(chan int, 1)
				go func() { got <- do(key, "GET", sessions+"/x?wait=60").Code }()
				time.Sleep(time.Second)
				if c.revoke {
					if _, err := keyring.Revoke(path, id); err != nil {
						t.Fatal(err)
					}
				}
				if err := keys.Reload(); err != nil { // another ring, even if nothing has changed
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				if code := do(holder, "DELETE", sessions+"/x/lock", "Session-Lock", lock).Code; code != 204 {
					t.Fatalf("release: %d", code)
				}
				if code := <-got; code != c.want {
					t.Errorf("who waited got %d, want %d", code, c.want)
				}
				if busy := api.Stats().Admission.Busy; busy != 0 {
					t.Errorf("%d places are not given back", busy)
				}
			})
		})
	}
}
