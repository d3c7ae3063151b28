package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// otlp sends spans to a collector by OTLP over HTTP with protobuf. OpenTelemetry's exporter for that depends on
// gRPC (9 MB of 31 MB); see docs/decisions.
//
// Source: the OTLP specification (OTLP/HTTP), and that of the exporters' OTEL_EXPORTER_OTLP_ variables.
type otlp struct {
	url     string
	headers http.Header
	gzip    bool
	timeout time.Duration
	client  *http.Client
}

var _ otlptrace.Client = (*otlp)(nil)

// otlpTimeout is the default deadline of one delivery, including its retries.
const otlpTimeout = 10 * time.Second

// otlpVariables looks up the variables of OTLP exporters. A variable for traces overrides the one for all signals.
type otlpVariables func(string) (string, bool)

func (v otlpVariables) get(name string) (value, variable string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value, _ := v(variable); strings.TrimSpace(value) != "" {
			return strings.TrimSpace(value), variable
		}
	}
	return "", ""
}

// plain returns the lower-cased value of a variable that is not specific to the exporter.
func (v otlpVariables) plain(name string) string {
	value, _ := v(name)
	return strings.ToLower(strings.TrimSpace(value))
}

// readOTLP reads the variables. It returns nil if they request no traces.
func readOTLP(lookup func(string) (string, bool)) (*otlp, error) {
	v := otlpVariables(textfile.Lookup(lookup))
	endpoint, from := v.get("ENDPOINT")
	exporter := v.plain("OTEL_TRACES_EXPORTER")
	if v.plain("OTEL_SDK_DISABLED") == "true" || exporter == "none" || endpoint == "" && exporter == "" {
		return nil, nil
	}
	if exporter != "" && exporter != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%s: only otlp and none are supported", exporter)
	}
	if protocol, from := v.get("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("%s=%s: only http/protobuf is supported; a collector listens for it on port 4318", from, protocol)
	}
	if endpoint == "" {
		endpoint, from = "http://localhost:4318", "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	o := &otlp{timeout: otlpTimeout, headers: http.Header{}}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s is not a URL such as http://localhost:4318", from) // the value is not in the error, because it may contain a password
	}
	if from == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath("v1/traces")
	}
	o.url = u.String()
	if err := o.readMore(v); err != nil {
		return nil, err
	}
	return o, nil
}

// readMore reads timeout, compression, headers and TLS.
func (o *otlp) readMore(v otlpVariables) error {
	if text, from := v.get("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms < 1 {
			return fmt.Errorf("%s=%s is not a number of milliseconds", from, text)
		}
		o.timeout = time.Duration(ms) * time.Millisecond
	}
	if text, from := v.get("COMPRESSION"); text != "" && text != "none" {
		if o.gzip = text == "gzip"; !o.gzip {
			return fmt.Errorf("%s=%s: must be gzip or none", from, text)
		}
	}
	if text, from := v.get("HEADERS"); text != "" {
		for pair := range strings.SplitSeq(text, ",") {
			name, value, ok := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if !ok || err != nil || strings.TrimSpace(name) == "" {
				return fmt.Errorf("%s is not a comma-separated list of NAME=VALUE", from) // the value is not in the error, because it may contain a secret
			}
			o.headers.Set(strings.TrimSpace(name), value)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	config, err := readTLS(v)
	if err != nil {
		return err
	}
	transport.TLSClientConfig = config
	o.client = &http.Client{Transport: transport}
	return nil
}

// readTLS reads the trusted certificates and the client certificate.
func readTLS(v otlpVariables) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file, from := v.get("CERTIFICATE"); file != "" {
		text, err := textfile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s has no certificate in PEM format", from, file)
		}
	}
	certificate, from := v.get("CLIENT_CERTIFICATE")
	key, _ := v.get("CLIENT_KEY")
	if certificate == "" && key == "" {
		return config, nil
	}
	if err := secretfile.Refuse(key); err != nil {
		return nil, err
	}
	pair, err := textfile.KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s and its key: %w", from, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// Start implements otlptrace.Client. It does nothing: UploadTraces connects.
func (o *otlp) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (o *otlp) Stop(context.Context) error {
	o.client.CloseIdleConnections()
	return nil
}

// The first and the longest pause between two tries of one delivery.
const (
	otlpFirstPause = 200 * time.Millisecond
	otlpMostPause  = 5 * time.Second
)

// UploadTraces implements otlptrace.Client. It retries in the cases that the specification names, within the timeout.
func (o *otlp) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// ExportTraceServiceRequest and TracesData are the same on the wire.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if o.gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // a write to memory does not fail
		_ = w.Close()
		body = b.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	for pause := otlpFirstPause; ; pause = min(2*pause, otlpMostPause) {
		after, err := o.post(ctx, body)
		if err == nil || after < 0 {
			return err
		}
		wait := time.NewTimer(max(after, pause))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("deliver spans: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// post tries once. After an error, after is the minimum pause before a retry; negative: do not retry.
func (o *otlp) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	for name, values := range o.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if o.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := o.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // drop the URL, because it may contain a password
		}
		return 0, fmt.Errorf("deliver spans: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be reused
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("deliver spans: the collector answered %s", resp.Status)
	}
	if resp.StatusCode >= 300 {
		return -1, fmt.Errorf("deliver spans: the collector answered %s", resp.Status)
	}
	return 0, nil
}
