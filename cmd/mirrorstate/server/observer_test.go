package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/partner"
)

// ours is the pair that an observer is asked about.
var ours = partner.Status{Database: "ASPState", Partners: []partner.PartnerStatus{
	{Name: partner.A, Address: "sql1:1433"}, {Name: partner.B, Address: "sql2:1433"},
}}

func TestObserver_Sees(t *testing.T) {
	// The other server calls our partner a b, and our b a.
	const pair = `{"database":"ASPState","partners":[
		{"name":"a","address":"sql2:1433","reachable":true,"since_s":100},
		{"name":"b","address":"sql1:1433","reachable":false,"since_s":12.5}]}`
	for name, tc := range map[string]struct {
		answer    string
		reachable bool
		since     time.Duration
		wantErr   string
	}{
		"by address, whatever the name": {answer: pair, since: 12500 * time.Millisecond},
		"another database":              {answer: strings.Replace(pair, "ASPState", "Other", 1), wantErr: `"Other"`},
		"unknown servers":               {answer: strings.ReplaceAll(pair, "sql", "db"), wantErr: "no partner at sql1:1433"},
		"not JSON":                      {answer: "hello", wantErr: "not an answer of mirrorstate"},
		"a problem document":            {answer: "", wantErr: "503"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/pair" || tc.answer == "" {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				io.WriteString(w, tc.answer)
			}))
			defer srv.Close()
			o, err := newObserver(srv.URL, credential.Files{})
			if err != nil {
				t.Fatal(err)
			}
			defer o.client.Close()
			o.setPair(ours)
			reachable, since, err := o.Sees(t.Context(), partner.A)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got error %v, want %q in it", err, tc.wantErr)
				}
				return
			}
			if err != nil || reachable != tc.reachable || since != tc.since {
				t.Errorf("got %t for %v, %v, want %t for %v", reachable, since, err, tc.reachable, tc.since)
			}
		})
	}
}

// An observer that can't be reached returns an error. It does not report the partner as unreachable.
func TestObserver_Gone(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	o, err := newObserver(srv.URL, credential.Files{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.client.Close()
	srv.Close()
	o.setPair(ours)
	if _, _, err := o.Sees(t.Context(), partner.A); err == nil || !strings.Contains(err.Error(), srv.URL) {
		t.Errorf("got %v, want an error that names the observer", err)
	}
	if _, err := newObserver("sql1:8081", credential.Files{}); err == nil {
		t.Error("an observer without a scheme in its URL is accepted")
	}
}
