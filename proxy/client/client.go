// Package client is the Go client of the session API.
//
// A [Client] is a [session.Store] whose sessions are on a server, so code for
// a store works over HTTP. A call is one request. It is retried only where a
// retry is safe: every mutation has an Idempotency-Key.
//
// HTTP does not transmit an item of no bytes: an empty body means "uninitialized". Nor does it transmit fractions of a
// second in expiry times, or the client's rules for an application: the server uses its own.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// DefaultRetries is how often a retryable request is sent again.
const DefaultRetries = 2

// Config configures a Client.
type Config struct {
	// URL of the server's session API or operators' listener, such as
	// http://127.0.0.1:8080. Required.
	URL string

	// Key is sent to the server as a bearer token. Empty: none is sent.
	Key string

	// TLS configures how the client verifies the server, and which certificate it shows. nil: the
	// system's root certificates, and no client certificate. It is ignored if HTTP is set.
	TLS *tls.Config

	// HTTP sends the requests. Its Timeout should be zero, or longer than Wait plus
	// the server's hold window. Default: a new client, whose idle
	// connections [Client.Close] closes.
	HTTP *http.Client

	// Wait is how long the server queues a call for a locked session, at
	// most 120 s. Zero: the call fails at once.
	Wait time.Duration

	// Retries is how often a request is sent again after no answer, or after a retryable
	// one (no-principal, overloaded, outcome-unknown). Zero means
	// DefaultRetries, negative none. A call for a locked session is not retried; see Wait.
	Retries int

	// HideID sends session ids in the header Session-ID instead of the path, so
	// that access logs do not contain them.
	HideID bool
}

// Client is a session.Store over HTTP. Any number of goroutines may use it. Its
// errors wrap an [*Error], which wraps the error of package session with the same meaning.
type Client struct {
	base    string
	key     string // the value of the header Authorization; empty: none
	http    *http.Client
	wait    time.Duration
	retries int
	hideID  bool
}

var (
	_ session.Store  = (*Client)(nil)
	_ session.Lister = (*Client)(nil)
)

// ValidURL returns an error if server is not the URL of an HTTP server.
func ValidURL(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("server %q: give a URL such as http://HOST:PORT", server)
	}
	return nil
}

// New returns a client. It sends nothing.
func New(cfg Config) (*Client, error) {
	if err := ValidURL(cfg.URL); err != nil {
		return nil, err
	}
	c := &Client{
		base:    strings.TrimSuffix(cfg.URL, "/"),
		http:    cfg.HTTP,
		wait:    cfg.Wait,
		retries: cfg.Retries,
		hideID:  cfg.HideID,
	}
	if cfg.Key != "" {
		c.key = "Bearer " + cfg.Key
	}
	if c.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64
		if cfg.TLS != nil {
			transport.TLSClientConfig = cfg.TLS
		}
		c.http = &http.Client{Transport: transport}
	}
	if c.retries == 0 {
		c.retries = DefaultRetries
	}
	c.retries = max(c.retries, 0)
	return c, nil
}

// Waiting returns a copy of the client with another Wait.
func (c *Client) Waiting(wait time.Duration) *Client {
	other := *c
	other.wait = wait
	return &other
}

// Close closes idle connections. Running calls continue.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create makes a session. The server chooses its id. A second call with the same operation
// id returns the same session.
func (c *Client) Create(ctx context.Context, app *session.Application, w session.Write, op session.Operation) (session.ID, session.Session, error) {
	body, err := bodyOf(w)
	if err != nil {
		return "", session.Session{}, err
	}
	q := request{
		method: http.MethodPost, path: sessionsPath(app),
		body: body, timeout: w.Timeout, op: idOf(op),
	}
	a, err := c.send(ctx, &q)
	if err != nil {
		return "", session.Session{}, fmt.Errorf("create session: %w", err)
	}
	var made struct {
		ID session.ID `json:"id"`
	}
	if err := a.decode(&made); err != nil {
		return "", session.Session{}, fmt.Errorf("create session: %w", err)
	}
	s := a.session()
	s.Made = true
	return made.ID, s, nil
}

// bodyOf returns the content as a request body, which is empty for an uninitialized session.
func bodyOf(w session.Write) ([]byte, error) {
	switch {
	case w.Uninitialized:
		return nil, nil
	case len(w.Item) == 0:
		return nil, &session.InvalidError{What: "item", Reason: "has no bytes, which HTTP can't transmit: an empty body means uninitialized"}
	}
	return w.Item, nil
}

// idOf returns the operation's id, or a new one if the caller gave none.
func idOf(op session.Operation) session.OperationID {
	if op.ID.IsZero() {
		return session.NewOperationID()
	}
	return op.ID
}

// isRepeatedAcquire reports whether an earlier try of the same call got the lock, and the
// server released it when that try's connection broke.
func isRepeatedAcquire(err error, tries int) bool {
	return tries > 1 && errors.Is(err, session.ErrLockLost)
}
