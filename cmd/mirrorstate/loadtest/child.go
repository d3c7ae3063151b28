package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/via"
	"github.com/mirrorstate/mirrorstate/session"
)

// Spec is the task of a child. The parent sends it as the first line of the child's standard input.
// The child ends when its standard input ends, and so it never outlives its parent.
type Spec struct {
	Role       string    // pair, http, driver, direct or statement
	Connection string    // to the pair: an ADO.NET string; for driver and statement, the driver's own form
	Config     string    // of http: path of a configuration file; may be empty
	Witness    bool      // of pair: with a witness
	Task       load.Task // of direct and statement
	App        string    // of driver: the application's name
	Clients    int       // of driver: maximum number of concurrent requests
	Verbose    bool      // log everything to standard error
}

// Ready is a child's answer to its task. The child sends it as the first line of its standard
// output.
type Ready struct {
	API, Admin string // URLs; of http, driver and pair
	Connection string // of pair: an ADO.NET string with the password
	Error      string // why the child is not ready; empty: it is
	Usage      bool   // the error is a [UsageError]
}

// rolePair is the role of the child that runs the database servers.
const rolePair = "pair"

// childGrace is how long a child may take to end by itself.
const childGrace = 5 * time.Second

// child is a process that the load test has started. Call stop once.
type child struct {
	role  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *output
	read  bool // newRemoteLoad reads out to its end
	errs  *lastLines
	Ready Ready
}

// output is the standard output of a child. Only one goroutine may read it.
type output struct {
	*bufio.Reader
	once  sync.Once
	ended chan struct{} // closed when the reader has reached the end
}

func newOutput(r io.Reader) *output {
	return &output{Reader: bufio.NewReader(r), ended: make(chan struct{})}
}

// Read implements io.Reader.
func (o *output) Read(b []byte) (int, error) {
	n, err := o.Reader.Read(b)
	if err != nil {
		o.once.Do(func() { close(o.ended) })
	}
	return n, err
}

// drain discards the rest of the output, or waits until its reader has reached the end.
func (c *child) drain() {
	if !c.read {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c.out})
	}
	<-c.out.ended
}

// startChild starts this program as a child and returns when the child is ready. If ctx ends
// before, it kills the child.
func startChild(ctx context.Context, program []string, spec Spec, stderr io.Writer) (*child, error) {
	c := &child{role: spec.Role, errs: &lastLines{}}
	c.cmd = exec.Command(program[0], program[1:]...)
	c.cmd.SysProcAttr = ownGroup()
	c.cmd.Stderr = c.errs
	if spec.Verbose {
		c.cmd.Stderr = io.MultiWriter(c.errs, stderr)
	}
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Role, err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Role, err)
	}
	c.out = newOutput(stdout)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Role, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() }) // it may have ended
	defer stop()
	if err := c.handshake(spec); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// handshake sends the task and waits for the child's answer.
func (c *child) handshake(spec Spec) error {
	line, err := json.Marshal(spec)
	if err == nil {
		_, err = c.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("send the task to %s: %w", spec.Role, err)
	}
	if line, err = c.out.ReadBytes('\n'); err == nil {
		err = json.Unmarshal(line, &c.Ready)
	}
	switch {
	case err != nil:
		return fmt.Errorf("the process of %s ended before it was ready: %s", spec.Role, c.errs)
	case c.Ready.Usage:
		return usage("%s", c.Ready.Error)
	case c.Ready.Error != "":
		return fmt.Errorf("start %s: %s", spec.Role, c.Ready.Error)
	}
	return nil
}

// stop asks the child to end, waits, and kills it if it does not end in time.
func (c *child) stop() error {
	_ = c.stdin.Close() // the child ends when its input ends
	late := time.AfterFunc(2*childGrace, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	c.drain() // Wait closes the pipe, so the reader must have reached its end
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("the process of %s ended with %w: %s", c.role, err, c.errs)
	}
	return nil
}

// lastLines keeps the end of a child's standard error.
type lastLines struct {
	mu  sync.Mutex
	end []byte
}

// Write implements io.Writer.
func (l *lastLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, b...)
	l.end = l.end[max(0, len(l.end)-2000):]
	return len(b), nil
}

// String returns the last line.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(l.end)), "\n")
	return lines[len(lines)-1]
}

// Roles are the roles of children that the caller of [RunChild] implements, by name.
type Roles struct {
	// Serve serves until ctx ends. It calls announce when it is ready.
	Serve map[string]func(ctx context.Context, spec Spec, announce func(Ready)) error
	// Store opens a store. The load on it runs in the child. done closes the store.
	Store map[string]func(ctx context.Context, spec Spec) (store session.Store, done func(), err error)
}

// RunChild runs a child: it reads its task from in, and returns when in ends. It ends the process
// if that takes longer than 5 s. The error is a *[UsageError] if in holds no task. The roles driver
// and statement are built in; roles implements the others.
func RunChild(ctx context.Context, in io.Reader, out io.Writer, roles Roles) error {
	from := bufio.NewReader(in)
	var spec Spec
	if line, err := from.ReadBytes('\n'); err != nil || json.Unmarshal(line, &spec) != nil {
		return usage("this command is for the load test's own use; use mirrorstate loadtest")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	life := &parentInput{in: from, over: cancel}
	defer life.done()
	if open := roles.Store[spec.Role]; open != nil {
		return serveStore(ctx, spec, open, life, out)
	}
	if spec.Role == measure.ViaStatement {
		return serveStore(ctx, spec, openStatement, life, out)
	}
	serve := roles.Serve[spec.Role]
	if spec.Role == measure.ViaDriver {
		serve = serveDriverRole
	}
	if serve == nil {
		return usage("unknown role %q of a load test's process", spec.Role)
	}
	served := make(chan error, 1)
	go func() { served <- serveChild(ctx, spec, serve, out) }()
	_, _ = io.Copy(io.Discard, life) // it returns when the input ends
	return <-served
}

// parentInput is the standard input of a child. Its end ends the child.
type parentInput struct {
	in   io.Reader
	over func()
	once sync.Once
	late *time.Timer // ends the process; nil before the end of the input
}

// Read implements io.Reader.
func (l *parentInput) Read(b []byte) (int, error) {
	n, err := l.in.Read(b)
	if err != nil {
		l.once.Do(func() {
			l.late = time.AfterFunc(childGrace, func() { os.Exit(1) })
			l.over()
		})
	}
	return n, err
}

// done notes that the child has ended by itself.
func (l *parentInput) done() {
	l.once.Do(func() {})
	if l.late != nil {
		l.late.Stop()
	}
}

// serveChild runs a role that serves, and tells the parent if it can not.
func serveChild(ctx context.Context, spec Spec, serve func(context.Context, Spec, func(Ready)) error, out io.Writer) error {
	announced := false
	err := serve(ctx, spec, func(r Ready) { announced = true; announce(out, r) })
	if err != nil && !announced {
		announce(out, notReady(err))
		return nil
	}
	return err
}

// announce sends the answer to the parent. If the parent is gone, the child's input ends.
func announce(out io.Writer, r Ready) { _ = json.NewEncoder(out).Encode(r) }

func notReady(err error) Ready {
	_, misuse := errors.AsType[*UsageError](err)
	return Ready{Error: err.Error(), Usage: misuse}
}

// serveDriverRole runs the server of via driver.
func serveDriverRole(ctx context.Context, spec Spec, announce func(Ready)) error {
	return via.ServeDriver(ctx, spec.Connection, spec.App, spec.Clients, func(url string) { announce(Ready{API: url}) })
}

// openStatement opens the store of via statement.
func openStatement(ctx context.Context, spec Spec) (session.Store, func(), error) {
	s, err := via.ConnectProcedures(ctx, spec.Connection, spec.Task.App, spec.Task.Clients)
	if err != nil {
		return nil, nil, err
	}
	return s, func() { _ = s.Close() }, nil
}

// serveStore opens a store and runs a load on it.
func serveStore(ctx context.Context, spec Spec, open func(context.Context, Spec) (session.Store, func(), error), in io.Reader, out io.Writer) error {
	store, done, err := open(ctx, spec)
	if err != nil {
		announce(out, notReady(err))
		return nil
	}
	defer done()
	announce(out, Ready{})
	serveLoad(ctx, spec, store, in, out)
	return nil
}
