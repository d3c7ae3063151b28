package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
)

// StoppedBy is the cause of the program's context if a signal ended it.
type StoppedBy struct{ os.Signal }

// Error implements error.
func (s StoppedBy) Error() string { return "stopped by " + s.String() }

// lifecycle starts the listeners and stops them in order:
//
//   - /readyz reports that the server is stopping, and everything continues for drain.pause, so that balancers notice.
//   - The session API accepts no more connections and answers its requests; those that wait for a session's lock last.
//   - The operators' listener, which answers /readyz until then, stops.
type lifecycle struct {
	leaving proxy.Leaving
	pause   atomic.Int64 // drain.pause in nanoseconds; a new configuration may change it
	notify  notifier
	logs    Logs
	version string
}

// endpoint is one listener with its handler and rules.
type endpoint struct {
	listener net.Listener
	handler  http.Handler
	rules    proxy.ServerConfig
}

// running is an endpoint that is being served.
type running struct {
	stop context.CancelCauseFunc
	done chan error // receives the result once
}

// serve starts serving an endpoint, until stop is called.
func (e endpoint) serve(ctx context.Context) running {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	r := running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- proxy.Serve(ctx, e.listener, e.handler, e.rules) }()
	return r
}

// errStopping is the cause for which requests are cut off at the end of a drain.
var errStopping = errors.New("the server is stopping")

// run serves both endpoints until ctx ends or something fails. Then it stops the session API, and the operators'
// listener after it.
func (l *lifecycle) run(ctx context.Context, failed <-chan error, api, admin endpoint) error {
	a, o := api.serve(ctx), admin.serve(ctx) // o: the operators' listener
	l.logs.Info("started", "version", l.version, "api", api.listener.Addr().String(), "admin", admin.listener.Addr().String())
	defer l.logs.Info("stopped")
	l.notify.ready("serving")
	var errs []error
	select {
	case <-ctx.Done():
		errs = append(errs, l.beginDrain(ctx, failed, a, o)...)
	case err := <-failed:
		errs = append(errs, err)
	case err := <-a.done:
		errs, a.done = append(errs, err), nil
	case err := <-o.done:
		errs, o.done = append(errs, err), nil
	}
	l.leaving.Begin()
	for _, s := range []running{a, o} {
		s.stop(errStopping)
		if s.done != nil {
			errs = append(errs, <-s.done)
		}
	}
	return errors.Join(errs...)
}

// stoppedByManager reports whether SIGTERM ended ctx, as a service manager sends it. An interrupt from the keyboard
// does not count.
func stoppedByManager(ctx context.Context) bool {
	by, ok := errors.AsType[StoppedBy](context.Cause(ctx))
	return ok && by.Signal == syscall.SIGTERM
}

// lockAnswerMargin is how long before the end of a drain callers that still wait for a lock are answered: they get
// "locked" instead of a closed connection.
const lockAnswerMargin = 5 * time.Second

// endLockWaits stops waiting for locks: at once, or, if a service manager stops the server, in time for the end of a
// drain that begins now.
func endLockWaits(ctx context.Context, stopWaiting func(), drain time.Duration) {
	if !stoppedByManager(ctx) {
		stopWaiting()
		return
	}
	time.AfterFunc(max(drain-lockAnswerMargin, drain/2), stopWaiting) // has no effect once the drain is over
}

// beginDrain announces that the server is stopping. If a service manager stops it, beginDrain waits for drain.pause, so
// that balancers notice.
func (l *lifecycle) beginDrain(ctx context.Context, failed <-chan error, a, o running) (errs []error) {
	l.leaving.Begin()
	pause := time.Duration(l.pause.Load())
	if !stoppedByManager(ctx) {
		pause = 0
	}
	l.logs.Info("stopping once the requests under way are answered; another signal stops at once", "reason", context.Cause(ctx), "pause", pause)
	l.notify.stopping(fmt.Sprintf("draining, after a pause of %v", pause))
	if pause == 0 {
		return nil
	}
	over := time.NewTimer(pause)
	defer over.Stop()
	select {
	case <-over.C:
	case err := <-failed:
		errs = append(errs, err)
	case err := <-a.done:
		a.done <- err // run reads it again
	case err := <-o.done:
		o.done <- err
	}
	return errs
}
