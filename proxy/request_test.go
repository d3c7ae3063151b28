package proxy

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// A header with any value is accepted or refused. A given condition is never ignored.
func FuzzPreconditions(f *testing.F) {
	for _, seed := range []string{``, `*`, `"a"`, `W/"a"`, `"a", "b"`, `"a" "b"`, `"`, `""`, `W/`, ` "a" , `, `"a",,"b"`, "\"a\x00\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		pre, err := condition(http.Header{"If-Match": {value}})
		if err == nil && !pre.mustExist && pre.tag == "" || pre.onlyCreate {
			t.Errorf("If-Match %q became no condition", value)
		}
		if pre.tag != "" && !strings.Contains(value, `"`+pre.tag+`"`) {
			t.Errorf("If-Match %q became the tag %q", value, pre.tag)
		}
		same, err := noneMatch([]string{value}, "a")
		if same && err == nil && value != "" && !strings.Contains(value, `"a"`) && strings.TrimSpace(value) != "*" {
			t.Errorf("If-None-Match %q has the tag a", value)
		}
	})
}

// A wait is within its bounds, or refused.
func FuzzWait(f *testing.F) {
	for _, seed := range []string{"", "0", "30", "30s", "-1", "1e3", "120s", "121", "1h", "9223372036854775807", "0x10", "+5", "1_0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, err := parseWait(value, 120*time.Second)
		if err == nil && (wait < 0 || wait > 120*time.Second) {
			t.Errorf("%q is taken for %v", value, wait)
		}
		if invalid := new(*session.InvalidError); err != nil && !errors.As(err, invalid) {
			t.Errorf("%q: got %v, want an InvalidError", value, err)
		}
	})
}

// An operation id depends on the secret, the caller, the application, the session, the verb and the key. Moving a
// character from one part to the next changes it.
func TestKeyedHash(t *testing.T) {
	secret := []byte("0123456789abcdef")
	seen := make(map[[32]byte]string)
	for _, parts := range [][5]string{
		{"", "app", "id", "PUT", "key"}, {"", "app", "idP", "UT", "key"}, {"", "appi", "d", "PUT", "key"}, {"a", "pp", "id", "PUT", "key"},
		{"", "app", "", "idPUT", "key"}, {"", "app", "id", "PUT", "key2"}, {"", "app", "id", "POST lock", "key"}, {"", "", "", "", ""},
	} {
		sum := keyedHash(secret, parts[0], parts[1], parts[2], parts[3], parts[4])
		if other, ok := seen[sum]; ok {
			t.Errorf("%q and %s have one hash", parts, other)
		}
		seen[sum] = strings.Join(parts[:], "|")
	}
	if _, ok := seen[keyedHash([]byte("0123456789abcdeF"), "", "app", "id", "PUT", "key")]; ok {
		t.Error("the secret makes no difference")
	}
	id := keyedID(secret, "", "app", "key")
	if !id.Classic() || id != keyedID(secret, "", "app", "key") || id == keyedID(secret, "", "app", "key2") || id == keyedID(secret, "", "app2", "key") || id == keyedID(secret, "b", "app", "key") {
		t.Errorf("the id of a key is %q", id)
	}
}

// The log has the route, and never the session's id or item.
func TestLogs(t *testing.T) {
	var lines bytes.Buffer
	api, err := NewAPI(Config{
		Hosts:  []string{"example.com"}, // the Host of httptest's requests
		Store:  memory.New(nil),
		Logger: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path string }{
		{"PUT", "/v1/apps/default/sessions/very-secret"},
		{"POST", "/v1/apps/%2Fx/sessions/very-secret/lock"},
	} {
		api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, strings.NewReader("very-secret")))
	}
	got := lines.String()
	if strings.Contains(got, "very-secret") {
		t.Errorf("the log has a session's id or item: %s", got)
	}
	for _, want := range []string{
		`msg=request method=PUT route=/v1/apps/{app}/sessions/{id} status=201`,
		`msg=request method=POST route=/v1/apps/{app}/sessions/{id}/lock status=404`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the log has no %q: %s", want, got)
		}
	}
}
