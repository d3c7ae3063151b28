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

// A stream that was opened with a key ends soon after that key is revoked.
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
