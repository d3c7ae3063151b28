package via

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
)

// driverHandler is the handler that a team would write without mirrorstate: HTTP in front of the
// stored procedures, over go-mssqldb with its own failover partner. It retries a failed call once.
// It learns about a failover only from the driver.
func driverHandler(s *Procedures) http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, call func(ctx context.Context, ref session.Ref, r *http.Request, body []byte, h http.Header) ([]byte, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second) // the default sqlCommandTimeout of ASP.NET
			defer cancel()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the client is gone
			}
			ref := session.Ref{ID: session.ID(r.PathValue("id"))}
			item, err := call(ctx, ref, r, body, w.Header())
			if _, failed := errors.AsType[*measure.ProblemError](err); failed {
				item, err = call(ctx, ref, r, body, w.Header()) // the only retry
			}
			answer(w, item, err)
		})
	}
	cookie := func(r *http.Request) session.Lock {
		n, _ := strconv.Atoi(r.Header.Get("Lock-Cookie")) // no lock has the cookie 0
		return session.Lock{Cookie: int32(n)}
	}
	minutes := func(r *http.Request) int { n, _ := strconv.Atoi(r.Header.Get("Session-Timeout")); return n }
	route("GET /{id}", func(ctx context.Context, ref session.Ref, r *http.Request, _ []byte, _ http.Header) ([]byte, error) {
		out, err := s.Get(ctx, ref, session.GetOptions{AllowLocked: r.URL.RawQuery == "locked=allow"})
		return out.Item, err
	})
	route("POST /{id}/lock", func(ctx context.Context, ref session.Ref, _ *http.Request, _ []byte, h http.Header) ([]byte, error) {
		out, lock, err := s.Acquire(ctx, ref, session.Operation{})
		h.Set("Lock-Cookie", strconv.Itoa(int(lock.Cookie)))
		return out.Item, err
	})
	route("PUT /{id}", func(ctx context.Context, ref session.Ref, r *http.Request, body []byte, _ http.Header) ([]byte, error) {
		_, err := s.Update(ctx, ref, cookie(r), session.Write{Item: body, Timeout: minutes(r)}, false, session.Operation{})
		return nil, err
	})
	route("POST /{id}", func(ctx context.Context, ref session.Ref, r *http.Request, body []byte, _ http.Header) ([]byte, error) {
		_, err := s.Put(ctx, ref, session.Write{Item: body, Timeout: minutes(r)}, session.Condition{}, session.Operation{})
		return nil, err
	})
	route("DELETE /{id}/lock", func(ctx context.Context, ref session.Ref, r *http.Request, _ []byte, _ http.Header) ([]byte, error) {
		return nil, s.Release(ctx, ref, cookie(r), session.Operation{})
	})
	route("DELETE /{id}", func(ctx context.Context, ref session.Ref, r *http.Request, _ []byte, _ http.Header) ([]byte, error) {
		return nil, s.Remove(ctx, ref, cookie(r), session.Operation{})
	})
	route("POST /{id}/touch", func(ctx context.Context, ref session.Ref, _ *http.Request, _ []byte, _ http.Header) ([]byte, error) {
		_, err := s.Touch(ctx, ref, session.Operation{})
		return nil, err
	})
	return mux
}

// answer writes the answer to a call.
func answer(w http.ResponseWriter, item []byte, err error) {
	switch e, failed := errors.AsType[*measure.ProblemError](err); {
	case errors.Is(err, session.ErrNotFound):
		w.WriteHeader(http.StatusNotFound)
	case errors.Is(err, session.ErrLocked):
		w.WriteHeader(http.StatusLocked)
	case failed:
		w.Header().Set("Problem", e.Name)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Write(item)
	}
}

// Driver is a client of the handler that [ServeDriver] serves. Its methods may be called
// concurrently.
type Driver struct {
	base string
	http *http.Client
}

var _ session.Store = (*Driver)(nil)

// NewDriver returns a client of the handler at url. It keeps up to clients connections.
func NewDriver(url string, clients int) *Driver {
	return &Driver{url, &http.Client{Transport: newTransport(clients, nil)}}
}

// do makes one request.
func (d *Driver) do(ctx context.Context, method string, ref session.Ref, rest string, lock session.Lock, w session.Write) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.base+"/"+string(ref.ID)+rest, bytes.NewReader(w.Item))
	if err != nil {
		return nil, nil, err
	}
	if lock.Cookie != 0 {
		req.Header.Set("Lock-Cookie", strconv.Itoa(int(lock.Cookie)))
	}
	if w.Timeout != 0 {
		req.Header.Set("Session-Timeout", strconv.Itoa(w.Timeout))
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, nil, lostError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, lostError(ctx, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return body, resp.Header, nil
	case http.StatusNotFound:
		return nil, nil, session.ErrNotFound
	case http.StatusLocked:
		return nil, nil, &session.LockedError{}
	}
	name := fmt.Sprintf("status-%d", resp.StatusCode)
	if p := resp.Header.Get("Problem"); p != "" {
		name = p
	}
	return nil, nil, &measure.ProblemError{Name: name, Err: fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body))}
}

// lostError returns the error of a request that was not answered.
func lostError(ctx context.Context, err error) error {
	name := "no-answer"
	if ctx.Err() != nil {
		name = "time-out"
	}
	return &measure.ProblemError{Name: name, Err: err}
}

// Get implements session.Store.
func (d *Driver) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (out session.Session, err error) {
	rest := ""
	if opts.AllowLocked {
		rest = "?locked=allow"
	}
	out.Item, _, err = d.do(ctx, http.MethodGet, ref, rest, session.Lock{}, session.Write{})
	return out, err
}

// Acquire implements session.Store.
func (d *Driver) Acquire(ctx context.Context, ref session.Ref, _ session.Operation) (out session.Session, lock session.Lock, err error) {
	item, h, err := d.do(ctx, http.MethodPost, ref, "/lock", session.Lock{}, session.Write{})
	if err != nil {
		return out, lock, err
	}
	cookie, err := strconv.Atoi(h.Get("Lock-Cookie"))
	return session.Session{Item: item}, session.Lock{Cookie: int32(cookie)}, err
}

// Update implements session.Store.
func (d *Driver) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, _ bool, _ session.Operation) (out session.Session, err error) {
	_, _, err = d.do(ctx, http.MethodPut, ref, "", lock, w)
	return out, err
}

// Put implements session.Store. It can only create sessions.
func (d *Driver) Put(ctx context.Context, ref session.Ref, w session.Write, _ session.Condition, _ session.Operation) (out session.Session, err error) {
	_, _, err = d.do(ctx, http.MethodPost, ref, "", session.Lock{}, w)
	return out, err
}

// Release implements session.Store.
func (d *Driver) Release(ctx context.Context, ref session.Ref, lock session.Lock, _ session.Operation) error {
	_, _, err := d.do(ctx, http.MethodDelete, ref, "/lock", lock, session.Write{})
	return err
}

// GiveBack implements session.Store. It is the same as Release.
func (d *Driver) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, _ session.OperationID) error {
	return d.Release(ctx, ref, lock, session.Operation{})
}

// Remove implements session.Store.
func (d *Driver) Remove(ctx context.Context, ref session.Ref, lock session.Lock, _ session.Operation) error {
	_, _, err := d.do(ctx, http.MethodDelete, ref, "", lock, session.Write{})
	return err
}

// Touch implements session.Store.
func (d *Driver) Touch(ctx context.Context, ref session.Ref, _ session.Operation) (out session.Session, err error) {
	_, _, err = d.do(ctx, http.MethodPost, ref, "/touch", session.Lock{}, session.Write{})
	return out, err
}

// ServeDriver serves the handler of via driver until ctx ends, on a free port of 127.0.0.1. dsn is
// a connection string of go-mssqldb, and app the application's name. It calls announce with its URL
// when it listens.
func ServeDriver(ctx context.Context, dsn, app string, clients int, announce func(url string)) error {
	s, err := ConnectProcedures(ctx, dsn, app, clients)
	if err != nil {
		return err
	}
	defer s.Close()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: driverHandler(s), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	announce("http://" + ln.Addr().String())
	if err := server.Serve(ln); ctx.Err() == nil {
		return err
	}
	return nil
}
