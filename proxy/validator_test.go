package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// validator is a transport that checks requests and answers against the contract.
type validator struct {
	t      *testing.T
	next   http.RoundTripper
	router routers.Router
	errors *openapi3.Schema // the schema of problems
}

// contract reads openapi.yaml once, because that takes long.
var contract = sync.OnceValues(func() (*validator, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("openapi.yaml is not OpenAPI: %w", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &validator{router: router, errors: doc.Components.Schemas["Problem"].Value}, nil
})

func newValidator(t *testing.T, next http.RoundTripper) *validator {
	t.Helper()
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return &validator{t: t, next: next, router: v.router, errors: v.errors}
}

// RoundTrip implements http.RoundTripper.
func (v *validator) RoundTrip(req *http.Request) (*http.Response, error) {
	route, params, err := v.router.FindRoute(req)
	if err != nil {
		return v.unknown(req)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: options}
	invalid := openapi3filter.ValidateRequest(context.WithoutCancel(req.Context()), in)
	resp, err := v.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if invalid != nil && resp.StatusCode < 400 {
		v.t.Errorf("%s %s: the server took a request that the contract forbids: %v", req.Method, req.URL, invalid)
	}
	if err := v.replayable(resp); err != nil {
		return nil, err
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: options,
		Body: io.NopCloser(bytes.NewReader(read(resp))),
	}
	if err := openapi3filter.ValidateResponse(context.WithoutCancel(req.Context()), out); err != nil {
		v.t.Errorf("%s %s: the answer is not the contract's: %v", req.Method, req.URL, err)
	}
	return resp, nil
}

// unknown checks a request to a path that is not in the contract: it must be refused with a problem, unless only the
// operators' listener has the path.
func (v *validator) unknown(req *http.Request) (*http.Response, error) {
	resp, err := v.next.RoundTrip(req)
	if err != nil || resp.StatusCode < 400 || req.Method == http.MethodHead {
		return resp, err
	}
	if err := v.replayable(resp); err != nil {
		return nil, err
	}
	if resp.Header.Get("Content-Type") != "application/problem+json" {
		return resp, nil
	}
	var problem any
	if err := json.Unmarshal(read(resp), &problem); err != nil {
		v.t.Errorf("%s %s: %d with what is no JSON: %v", req.Method, req.URL, resp.StatusCode, err)
	}
	if err := v.errors.VisitJSON(problem, openapi3.EnableJSONSchema2020()); err != nil {
		v.t.Errorf("%s %s: the problem is not the contract's: %v", req.Method, req.URL, err)
	}
	return resp, nil
}

// replayable reads the body into memory.
func (v *validator) replayable(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// read returns a body that is in memory, and keeps it.
func read(resp *http.Response) []byte {
	body, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body
}
