// Package client is the Go client of the session API.
//
// A [Client] is a [session.Store] whose sessions are kept by a server, so what
// works on a store works over HTTP. A call is one request, and more only where
// sending it again does no harm: every mutation has an Idempotency-Key.
//
// What HTTP does not carry: an item of no bytes (an empty body means
// "uninitialized"), parts of seconds in expiry times, and the caller's rules of
// an application (the server has its own).
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

// DefaultRetries is how often a request is sent again that may be.
const DefaultRetries = 2

// Config says how to reach a server.
type Config struct {
	// URL of the server's session API or operators' listener, such as
	// http://127.0.0.1:8080. Required.
	URL string

	// Key is shown to the server. Empty: none is.
	Key string

	// TLS is how the client of its own knows the server, and makes itself known. nil: by
	// the system's roots. Not with HTTP.
	TLS *tls.Config

	// HTTP sends the requests. Its Timeout should be none, or longer than Wait and
	// the server's hold window. Default: a client of its own, whose idle
	// connections [Client.Close] closes.
	HTTP *http.Client

	// Wait is how long the server shall queue calls that meet somebody's lock, at
	// most 120 s. Zero: they fail at once.
	Wait time.Duration

	// Retries is how often a request is sent again after an answer that allows it
	// (no-principal, overloaded, outcome-unknown) or none at all. Zero means
	// DefaultRetries, negative none. A locked session is no reason; see Wait.
	Retries int

	// HideID sends session ids in the header Session-ID rather than in the path, so
	// that they stand in no access log.
	HideID bool
}

// Client is a session.Store over HTTP. Any number of goroutines may use it. Its
// errors wrap [*Error], which finds session's own by errors.Is and errors.As.
type Client struct {
	base    string
	key     string // as the header has it; empty: none
	http    *http.Client
	wait    time.Duration
	retries int
	hideID  bool
}

var (
	_ session.Store  = (*Client)(nil)
	_ session.Lister = (*Client)(nil)
)

// ValidURL says what is wrong with the URL of a server.
func ValidURL(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("server %q: give a URL such as http://HOST:PORT", server)
	}
	return nil
}

// New makes a client. It sends nothing.
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

// Waiting returns a client that differs in Wait.
func (c *Client) Waiting(wait time.Duration) *Client {
	other := *c
	other.wait = wait
	return &other
}

// Close closes idle connections. Calls under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create makes a session with an id of the server's choosing. The same operation
// id again answers the same session.
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

// bodyOf is the content as a body: empty stands for an uninitialized session.
func bodyOf(w session.Write) ([]byte, error) {
	switch {
	case w.Uninitialized:
		return nil, nil
	case len(w.Item) == 0:
		return nil, &session.InvalidError{What: "item", Reason: "has no bytes, which HTTP can't carry: an empty body means uninitialized"}
	}
	return w.Item, nil
}

// idOf is the operation's id, or a new one where the caller gave none.
func idOf(op session.Operation) session.OperationID {
	if op.ID.IsZero() {
		return session.NewOperationID()
	}
	return op.ID
}

// isRepeatedAcquire says that a lock was granted to an earlier try of the same
// call, and taken back when that try's connection broke.
func isRepeatedAcquire(err error, tries int) bool {
	return tries > 1 && errors.Is(err, session.ErrLockLost)
}
