package telemetry

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// env returns a lookup function for these variables.
func env(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

func TestReadOTLP(t *testing.T) {
	for name, tc := range map[string]struct {
		env   map[string]string
		url   string // empty: off
		wrong string // in the error
	}{
		"no variable":                            {},
		"an empty endpoint":                      {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": " "}},
		"an endpoint for all signals":            {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, url: "http://c:4318/v1/traces"},
		"an endpoint with a path":                {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, url: "https://c/otlp/v1/traces"},
		"an endpoint for traces, used unchanged": {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/x"}, url: "http://d/x"},
		"the default endpoint":                   {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, url: "http://localhost:4318/v1/traces"},
		"switched off":                           {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}},
		"the SDK switched off":                   {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}},
		"another exporter":                       {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, wrong: "only otlp"},
		"gRPC":                                   {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, wrong: "4318"},
		"an invalid URL":                         {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "user:s3cret@c"}, wrong: "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
		"an invalid timeout":                     {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, wrong: "milliseconds"},
		"an unknown compression":                 {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, wrong: "gzip"},
		"invalid headers":                        {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_HEADERS": "s3cret"}, wrong: "NAME=VALUE"},
		"a missing certificate file":             {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, wrong: "OTEL_EXPORTER_OTLP_CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := readOTLP(env(tc.env))
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got %v, want %q in it", err, tc.wrong)
				}
				return
			}
			if err != nil || (o == nil) != (tc.url == "") || o != nil && o.url != tc.url {
				t.Errorf("got %+v, %v, want %q", o, err, tc.url)
			}
		})
	}
}

func TestReadOTLP_More(t *testing.T) {
	o, err := readOTLP(env(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20eA==, x-scope = a",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Authorization": {"Basic eA=="}, "X-Scope": {"a"}}
	if o.timeout != 2500*time.Millisecond || !o.gzip || len(o.headers) != 2 || o.headers.Get("Authorization") != want.Get("Authorization") || o.headers.Get("X-Scope") != "a" {
		t.Errorf("got %+v", o)
	}
}

// Any values of the variables are either accepted or refused, without a panic.
func FuzzReadOTLP(f *testing.F) {
	f.Add("http://c:4318", "a=b,c=%20", "1000", "gzip")
	f.Add("https://[::1]/x?y", "=", "-1", "none")
	f.Add("http://%zz", "a", "", "")
	f.Fuzz(func(t *testing.T, endpoint, headers, timeout, compression string) {
		o, err := readOTLP(env(map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": headers,
			"OTEL_EXPORTER_OTLP_TIMEOUT": timeout, "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
		}))
		if err == nil && o != nil && (o.timeout <= 0 || !strings.HasPrefix(o.url, "http")) {
			t.Errorf("%q, %q: %+v", endpoint, timeout, o)
		}
	})
}

// A byte order mark or line end in a variable, or in a file that it names, is ignored.
func TestReadOTLP_Marks(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	own := srv.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, append([]byte("\xef\xbb\xbf"), pem.EncodeToMemory(block)...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := readOTLP(env(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "\ufeffhttps://c:4318\r", "OTEL_EXPORTER_OTLP_CERTIFICATE": certificate + "\n",
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate, "OTEL_EXPORTER_OTLP_CLIENT_KEY": key,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://c:4318/v1/traces"; o.url != want {
		t.Errorf("got %q, want %q", o.url, want)
	}
}
