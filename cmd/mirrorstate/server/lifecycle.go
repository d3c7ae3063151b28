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

// StoppedBy is why the program's context ended: a signal.
type StoppedBy struct{ os.Signal }

// Error implements error.
func (s StoppedBy) Error() string { return "stopped by " + s.String() }

// life is how a server begins and ends. In order: /readyz says that it is ending, while everything goes on for a
// pause, so that balancers notice; the session API takes no more connections and finishes what it has, those who
// wait for a session's lock last; then the operators' listener, which was there to tell, goes too.
type lifecycle struct {
	leaving proxy.Leaving
	pause   atomic.Int64 // drain.pause in nanoseconds; may be changed by a new configuration
	notify  notifier
	logs    Logs
	version string
}

// face is one listener and what answers on it.
type endpoint struct {
	listener net.Listener
	handler  http.Handler
	rules    proxy.ServerConfig
}

// serving is a face that is being served.
type running struct {
	stop context.CancelCauseFunc
	done chan error // gets one
}

func (e endpoint) serve(ctx context.Context) running {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	r := running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- proxy.Serve(ctx, e.listener, e.handler, e.rules) }()
	return r
}

// errStopping is why what is still under way at the end is cut off.
var errStopping = errors.New("the server is stopping")

// live serves both faces until ctx ends or something fails, then ends them in their order.
func (l *lifecycle) run(ctx context.Context, failed <-chan error, api, admin endpoint) error {
	a, o := api.serve(ctx), admin.serve(ctx)
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

// patient says whether the end was asked for by a service manager, rather than by somebody at the keyboard.
func stoppedByManager(ctx context.Context) bool {
	by, ok := errors.AsType[StoppedBy](context.Cause(ctx))
	return ok && by.Signal == syscall.SIGTERM
}

// lockAnswerMargin is how long before the drain's own end those are answered who still wait for a lock then: they are told
// that it is locked, rather than cut off.
const lockAnswerMargin = 5 * time.Second

// endLockWaits ends waiting for locks in time for a drain that begins now.
func endLockWaits(ctx context.Context, stopWaiting func(), drain time.Duration) {
	if !stoppedByManager(ctx) {
		stopWaiting()
		return
	}
	time.AfterFunc(max(drain-lockAnswerMargin, drain/2), stopWaiting) // does no harm where all is over by then
}

// leave tells everybody that the server will end, and gives them time to notice, unless somebody sits at the keyboard.
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
		a.done <- err // for who waits for it
	case err := <-o.done:
		o.done <- err
	}
	return errs
}
