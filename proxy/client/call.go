package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// request is one call, which may be sent several times.
type request struct {
	method  string
	path    string // escaped; empty: the caller gave no application
	query   url.Values
	headers [][2]string
	waits   bool // may meet a lock
	op      session.OperationID
	timeout int // in minutes; 0: not set
	seconds int // replaces timeout; 0: not set
	body    []byte
	tries   int // how often the request was sent
}

// request returns a new request about a session. An id that can't be in a path (a dot
// segment, or the hyphen that means "see the header") is sent in a header.
func (c *Client) request(method string, ref session.Ref, rest string) request {
	q := request{method: method}
	id := string(ref.ID)
	if c.hideID || id == "-" || id == "." || id == ".." {
		q.header("Session-ID", id)
		id = "-"
	}
	if q.path = sessionsPath(ref.App); q.path != "" {
		q.path += "/" + url.PathEscape(id) + rest
	}
	return q
}

// errNoApplication is the error of a call whose session.Ref has no application.
var errNoApplication = errors.New("no application is given: set App of the session.Ref")

// sessionsPath returns the path of an application's sessions; empty if app is nil.
func sessionsPath(app *session.Application) string {
	if app == nil {
		return ""
	}
	return "/v1/apps/" + url.PathEscape(app.Name) + "/sessions"
}

func (q *request) header(name, value string) { q.headers = append(q.headers, [2]string{name, value}) }

func (q *request) set(parameter, value string) {
	if q.query == nil {
		q.query = make(url.Values)
	}
	q.query.Set(parameter, value)
}

// mutates reports whether the call changes something: if it is sent and not answered, its outcome is unknown.
func (q *request) mutates() bool { return !q.op.IsZero() }

// answer is the answer to a successful call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends the request until it succeeds, or until it must not be retried.
func (c *Client) send(ctx context.Context, q *request) (*answer, error) {
	if q.path == "" {
		return nil, errNoApplication
	}
	if q.waits && c.wait > 0 {
		q.set("wait", c.wait.String())
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nothing was sent
	}
	for left := c.retries; ; left-- {
		q.tries++
		a, err := c.sendOnce(ctx, q)
		if err == nil {
			return a, nil
		}
		pause, again := retryPause(err, q.tries)
		if !again || left == 0 || !sleep(ctx, pause) {
			return nil, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, q *request) (*answer, error) {
	req, err := c.build(ctx, q)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // drop the URL, because it contains the session id
		}
		return nil, noAnswer(ctx, q, err)
	}
	defer resp.Body.Close()
	body, err := readAll(resp)
	if err != nil {
		return nil, noAnswer(ctx, q, err)
	}
	if resp.StatusCode >= 400 {
		return nil, problemOf(resp, body)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

func (c *Client) build(ctx context.Context, q *request) (*http.Request, error) {
	target := c.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	var body io.Reader
	if len(q.body) > 0 {
		body = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		req.Header.Set("Authorization", c.key)
	}
	for _, h := range q.headers {
		req.Header.Add(h[0], h[1])
	}
	if q.mutates() {
		req.Header.Set("Idempotency-Key", hex.EncodeToString(q.op[:]))
	}
	switch {
	case q.seconds != 0:
		req.Header.Set("Session-Timeout", strconv.Itoa(q.seconds)+"s")
	case q.timeout != 0:
		req.Header.Set("Session-Timeout", strconv.Itoa(q.timeout))
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	return req, nil
}

// readAll reads a body. If its length is known, it allocates exactly that much memory.
func readAll(resp *http.Response) ([]byte, error) {
	if resp.Request.Method == http.MethodHead || resp.ContentLength == 0 {
		return nil, nil
	}
	if resp.ContentLength < 0 {
		return io.ReadAll(resp.Body)
	}
	body := make([]byte, resp.ContentLength)
	_, err := io.ReadFull(resp.Body, body)
	return body, err
}

// session returns the session that the headers describe.
func (a *answer) session() session.Session {
	s := session.Session{Uninitialized: a.header.Get("Session-Flags") == "uninitialized"}
	if tag := a.header.Get("ETag"); len(tag) > 2 {
		s.Tag = session.Tag(tag[1 : len(tag)-1])
	}
	timeout, inSeconds := strings.CutSuffix(a.header.Get("Session-Timeout"), "s")
	if s.Timeout, _ = strconv.Atoi(timeout); inSeconds {
		s.Timeout, s.Seconds = session.SplitTimeout(0, s.Timeout)
	}
	s.Expires, _ = http.ParseTime(a.header.Get("Session-Expires"))
	return s
}

// item returns the item: the body, or for an uninitialized session ASP.NET's empty item.
func (a *answer) item(app *session.Application, s *session.Session) []byte {
	if !s.Uninitialized {
		return a.body
	}
	minutes := s.Timeout
	if minutes == 0 {
		minutes = app.WithDefaults().Timeout
	}
	return session.EmptyItem(minutes)
}

func (a *answer) decode(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// retryPause reports whether the call may be retried, and after which pause.
func retryPause(err error, tries int) (pause time.Duration, again bool) {
	var e *Error
	if !errors.As(err, &e) || !e.Retryable || errors.Is(err, session.ErrLocked) {
		return 0, false
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	pause = 50 * time.Millisecond << min(tries-1, 5)
	return pause*3/4 + rand.N(pause/2), true
}

// sleep waits for d and reports true, or false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
