package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// inProcess runs a child in this process, over pipes. hangUp ends it and waits.
func inProcess(t *testing.T, spec Spec, roles Roles) (c *child, hangUp func() error) {
	t.Helper()
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := RunChild(context.Background(), in, out, roles)
		out.Close()
		ended <- err
	}()
	c = &child{role: spec.Role, stdin: stdin, out: newOutput(stdout), errs: &lastLines{}}
	if err := c.handshake(spec); err != nil {
		stdin.Close()
		<-ended
		t.Fatal(err)
	}
	return c, func() error {
		stdin.Close()
		c.drain()
		return <-ended
	}
}

// A load in a child returns its samples and the counts of its ledger.
func TestRemoteLoad(t *testing.T) {
	store := memory.New(nil)
	roles := Roles{Store: map[string]func(context.Context, Spec) (session.Store, func(), error){
		measure.ViaDirect: func(context.Context, Spec) (session.Store, func(), error) { return store, func() {}, nil },
	}}
	f := hotLoad()
	f.Failovers = "none"
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	c, hangUp := inProcess(t, Spec{Role: measure.ViaDirect, Task: o.task(measure.ViaDirect)}, roles)
	r := measure.NewRecorder(o.Duration)
	remote := newRemoteLoad(c, r.Add)
	if err := remote.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	remote.Run(t.Context(), time.Now().Add(100*time.Millisecond))
	found := remote.ReadBack(t.Context())
	res := r.Totals()
	if res.Requests < 200 || res.Failed != 0 || found.AcknowledgedWrites < 20 || found.LostWrites != 0 || found.DoubleGrants != 0 || found.ReadBack < 6 {
		t.Errorf("measured %d requests, %v, and found %+v", res.Requests, res.Problems, found)
	}
	remote.Clean(t.Context())
	if list, err := store.List(t.Context(), &session.Application{Name: "/loadtest/direct"}, "", 10); err != nil || len(list) != 0 {
		t.Errorf("%d sessions are left, %v", len(list), err)
	}
	if err := hangUp(); err != nil {
		t.Error(err)
	}
	if remote.ReadBack(t.Context()).UnreadSessions == 0 {
		t.Error("the process has ended, and no session is counted as unread")
	}
}

func TestRunChild_Refused(t *testing.T) {
	for name, line := range map[string]string{"nothing": "", "not JSON": "hello\n", "an unknown role": `{"Role":"king"}` + "\n"} {
		err := RunChild(t.Context(), strings.NewReader(line), io.Discard, Roles{})
		if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("task %s: the error is %v", name, err)
		}
	}
}

// A child that can not do its task answers why.
func TestRunChild_NotReady(t *testing.T) {
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	ended := make(chan error, 1)
	roles := Roles{Serve: map[string]func(context.Context, Spec, func(Ready)) error{
		"broken": func(context.Context, Spec, func(Ready)) error { return usage("the port is taken") },
	}}
	go func() { ended <- RunChild(context.Background(), in, out, roles) }()
	io.WriteString(stdin, `{"Role":"broken"}`+"\n")
	var r Ready
	if err := json.NewDecoder(stdout).Decode(&r); err != nil || r.Error != "the port is taken" || !r.Usage {
		t.Errorf("the answer is %+v, %v", r, err)
	}
	stdin.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
