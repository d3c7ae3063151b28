package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// readEvent reads any bytes to their end, in bounded memory.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("id: 1\nevent: pair\ndata: {}\n\n: alive\n\nid: 2\nevent: role\ndata: {\"partner\":\"a\"}\n\n"))
	f.Add([]byte("event: end\ndata: {\"reason\":\"x\"}\n\n"))
	f.Add([]byte("data:\r\ndata: [\n\n"))
	f.Add([]byte("id: 18446744073709551616\nevent: x\ndata: 1\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, maxEvent)
		for n := 0; ; n++ {
			e, err := readEvent(lines)
			if err != nil {
				if err == io.EOF {
					t.Error("got io.EOF, want ErrStreamEnded, io.ErrUnexpectedEOF or a parse error")
				}
				return
			}
			if n > len(text) {
				t.Fatal("more events than bytes")
			}
			if e.Kind == "" && len(e.State) > 0 {
				t.Errorf("an event without a kind: %+v", e)
			}
		}
	})
}

// Any answer with an error status becomes an *Error that says whether the call was applied.
func FuzzProblem(f *testing.F) {
	f.Add(423, "application/problem+json", "1", "5", []byte(`{"type":"https://x/session-locked","status":423,"outcome":"not-applied","retryable":true}`))
	f.Add(503, "text/html", "99999999999999", "-1", []byte("<html>"))
	f.Add(413, "application/problem+json", "-5", "", []byte(`{"type":"too-large","limit":-1,"outcome":"maybe"}`))
	f.Add(999, "", "", "9223372036854775807", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, media, after, age string, body []byte) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}, "Retry-After": {after}, "Session-Lock-Age": {age}},
			Request: &http.Request{Method: http.MethodGet}}
		err := problemOf(resp, body)
		var e *Error
		if !errors.As(err, &e) || e.Status != status || e.RetryAfter < 0 || err.Error() == "" {
			t.Errorf("got %#v", err)
		}
	})
}
