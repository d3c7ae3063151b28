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

// Spec is what a child is told, on the first line of its standard input. What follows
// there keeps it alive: it ends when that does, and so does not outlive its parent,
// however that ends.
type Spec struct {
	Role       string    // pair, http, driver, direct or statement
	Connection string    // of the pair: an ADO.NET string, or the driver's for who speaks to it barely
	Config     string    // of http: a configuration file; may be empty
	Witness    bool      // of pair
	Task       load.Task // of direct and statement
	App        string    // of driver
	Clients    int       // of driver
	Verbose    bool
}

// Ready is what a child says on the first line of its standard output.
type Ready struct {
	API, Admin string // URLs, of http, driver and pair
	Connection string // of pair: an ADO.NET string with the password
	Error      string // why it is not ready
	Usage      bool   // the error is a misuse
}

// rolePair is the role of who runs the servers.
const rolePair = "pair"

// childGrace is how long a child may take to end in order.
const childGrace = 5 * time.Second

// child is a process of the load test's own. Whoever started it calls stop, once.
type child struct {
	role  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *output
	read  bool // somebody else reads out, to its end
	errs  *lastLines
	Ready Ready
}

// output is what a child writes. It has one reader.
type output struct {
	*bufio.Reader
	once  sync.Once
	ended chan struct{} // closed when the reader has met the end
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

// drain reads what is left, or waits for who does.
func (c *child) drain() {
	if !c.read {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c.out})
	}
	<-c.out.ended
}

// startChild starts the program again in a role, and returns when it is ready. A ctx that
// ends before kills it.
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

// handshake tells the child what it is, and hears where it is.
func (c *child) handshake(spec Spec) error {
	line, err := json.Marshal(spec)
	if err == nil {
		_, err = c.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("tell %s what to do: %w", spec.Role, err)
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

// stop lets the child end, and ends it if it does not.
func (c *child) stop() error {
	_ = c.stdin.Close() // that is the word
	late := time.AfterFunc(2*childGrace, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	c.drain() // Wait closes the pipe under a reader
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("the process of %s ended with %w: %s", c.role, err, c.errs)
	}
	return nil
}

// lastLines keeps the end of what a child complains about.
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

// String is the last line.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(l.end)), "\n")
	return lines[len(lines)-1]
}

// Roles are what a child can be, by name.
type Roles struct {
	// Serve serves until ctx ends, and calls announce when it is ready.
	Serve map[string]func(ctx context.Context, spec Spec, announce func(Ready)) error
	// Store opens a store, on which the load then runs in the child itself.
	Store map[string]func(ctx context.Context, spec Spec) (store session.Store, done func(), err error)
}

// RunChild is a child's life: it reads what it is from in, and does that until in ends. The
// roles that this package does not know are the caller's.
func RunChild(ctx context.Context, in io.Reader, out io.Writer, roles Roles) error {
	from := bufio.NewReader(in)
	var spec Spec
	if line, err := from.ReadBytes('\n'); err != nil || json.Unmarshal(line, &spec) != nil {
		return usage("this command is for the load test's own use; see mirrorstate loadtest --help")
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
		return usage("%q is no role of a load test's process", spec.Role)
	}
	served := make(chan error, 1)
	go func() { served <- serveChild(ctx, spec, serve, out) }()
	_, _ = io.Copy(io.Discard, life) // its end is what is waited for
	return <-served
}

// parentInput is a child's standard input, whose end is the child's.
type parentInput struct {
	in   io.Reader
	over func()
	once sync.Once
	late *time.Timer // ends the process; nil before the end
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

// done says that the child has ended in order.
func (l *parentInput) done() {
	l.once.Do(func() {})
	if l.late != nil {
		l.late.Stop()
	}
}

// serveChild serves, and tells the parent why it can't.
func serveChild(ctx context.Context, spec Spec, serve func(context.Context, Spec, func(Ready)) error, out io.Writer) error {
	announced := false
	err := serve(ctx, spec, func(r Ready) { announced = true; announce(out, r) })
	if err != nil && !announced {
		announce(out, notReady(err))
		return nil
	}
	return err
}

// announce tells the parent. One that is gone is noticed by the end of the input.
func announce(out io.Writer, r Ready) { _ = json.NewEncoder(out).Encode(r) }

func notReady(err error) Ready {
	_, misuse := errors.AsType[*UsageError](err)
	return Ready{Error: err.Error(), Usage: misuse}
}

// serveDriverRole is the role of via driver.
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

// serveStore runs a load on a store.
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
