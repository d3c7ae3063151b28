package loadtest

import (
	"context"
	"io"
	"net/rpc"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
)

// engine is a load, in this process or in a child. For its methods see [load.Load].
type engine interface {
	Prepare(ctx context.Context) error
	Run(ctx context.Context, zero time.Time)
	Shut()
	Open()
	ReadBack(ctx context.Context) measure.Integrity
	Clean(ctx context.Context)
}

var (
	_ engine = (*load.Load)(nil)
	_ engine = (*remoteLoad)(nil)
)

// RemoteLoad is a load that runs in a child. The parent calls its methods with [rpc], over the
// child's standard input and output.
type RemoteLoad struct {
	load *load.Load

	ctx    context.Context // ends when the parent ends
	stop   context.CancelFunc
	mu     sync.Mutex
	buffer []measure.Sample // guarded by mu; samples that the parent has not taken yet
}

// serveLoad runs a load on a store until the parent closes the connection.
func serveLoad(ctx context.Context, spec Spec, store session.Store, in io.Reader, out io.Writer) {
	r := &RemoteLoad{}
	r.load = load.New(spec.Task, store, r.note)
	r.ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	server := rpc.NewServer()
	if err := server.Register(r); err != nil {
		panic(err) // a bug: the methods have the wrong signatures
	}
	server.ServeConn(pipe{in, out})
}

// pipe joins the two standard streams to one connection.
type pipe struct {
	io.Reader
	io.Writer
}

// Close implements io.Closer. The streams end with the process.
func (pipe) Close() error { return nil }

func (r *RemoteLoad) note(s measure.Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buffer = append(r.buffer, s)
}

// Prepare creates the sessions.
func (r *RemoteLoad) Prepare(_ int, _ *int) error { return r.load.Prepare(r.ctx) }

// Run makes the visits, and returns when they have ended.
func (r *RemoteLoad) Run(zero time.Time, _ *int) error {
	r.load.Run(r.ctx, time.Now().Add(time.Until(zero))) // with the monotonic clock of this process
	return nil
}

// Interrupt ends Run.
func (r *RemoteLoad) Interrupt(_ int, _ *int) error { r.stop(); return nil }

// Shut stops a closed loop from beginning visits.
func (r *RemoteLoad) Shut(_ int, _ *int) error { r.load.Shut(); return nil }

// Open lets a closed loop begin visits again.
func (r *RemoteLoad) Open(_ int, _ *int) error { r.load.Open(); return nil }

// Take returns the samples since the last call of Take.
func (r *RemoteLoad) Take(_ int, samples *[]measure.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	*samples, r.buffer = r.buffer, nil
	return nil
}

// ReadBack reads every session and returns the counts of the ledger.
func (r *RemoteLoad) ReadBack(_ int, found *measure.Integrity) error {
	*found = r.load.ReadBack(context.WithoutCancel(r.ctx))
	return nil
}

// Clean removes the sessions.
func (r *RemoteLoad) Clean(_ int, _ *int) error {
	r.load.Clean(context.WithoutCancel(r.ctx))
	return nil
}

// remoteLoad is the parent's side of a [RemoteLoad].
type remoteLoad struct {
	client *rpc.Client
	note   func(measure.Sample)
}

func newRemoteLoad(c *child, note func(measure.Sample)) *remoteLoad {
	c.read = true
	return &remoteLoad{rpc.NewClient(remotePipe{c.out, c.stdin}), note}
}

// remotePipe joins the child's standard streams to one connection.
type remotePipe struct {
	io.Reader // hides the other methods of the buffered reader, so that Read notices the end
	io.WriteCloser
}

func (r *remoteLoad) call(method string, in, out any) error {
	if out == nil {
		out = new(int)
	}
	return r.client.Call("RemoteLoad."+method, in, out)
}

// Prepare implements engine.
func (r *remoteLoad) Prepare(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.call("Interrupt", 0, nil) })
	defer stop()
	return r.call("Prepare", 0, nil)
}

// takeEvery is the time between two calls of Take.
const takeEvery = 100 * time.Millisecond

// Run implements engine.
func (r *remoteLoad) Run(ctx context.Context, zero time.Time) {
	stop := context.AfterFunc(ctx, func() { _ = r.call("Interrupt", 0, nil) })
	defer stop()
	running := r.client.Go("RemoteLoad.Run", zero, new(int), make(chan *rpc.Call, 1))
	ticker := time.NewTicker(takeEvery)
	defer ticker.Stop()
	for over := false; !over; {
		select {
		case <-running.Done:
			over = true
		case <-ticker.C:
		}
		var samples []measure.Sample
		if r.call("Take", 0, &samples) != nil {
			return // the child is gone; the read-back will show it
		}
		for _, s := range samples {
			r.note(s)
		}
	}
}

// Shut implements engine.
func (r *remoteLoad) Shut() { _ = r.call("Shut", 0, nil) }

// Open implements engine.
func (r *remoteLoad) Open() { _ = r.call("Open", 0, nil) }

// ReadBack implements engine.
func (r *remoteLoad) ReadBack(context.Context) (found measure.Integrity) {
	if err := r.call("ReadBack", 0, &found); err != nil {
		found.UnreadSessions = 1 // at least one: the process is gone
	}
	return found
}

// Clean implements engine.
func (r *remoteLoad) Clean(context.Context) { _ = r.call("Clean", 0, nil) }
