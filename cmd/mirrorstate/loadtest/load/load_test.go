package load

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// hotTask is a short load on few sessions, so that clients use a session at the same time.
func hotTask() Task {
	return Task{
		App: "/loadtest/http", Rate: 400, Clients: 16, Duration: time.Second, Timeout: 40 * time.Second, Seed: 1,
		Workload: Workload{
			Mix: Mix{{"lock", 60}, {"read", 30}, {"touch", 5}, {"renew", 5}}, Size: Range{64, 9000}, Sessions: 6, Think: time.Millisecond,
		},
	}
}

// While a place is empty, two clients may create a session for it. Both are read back and removed.
func TestLoad_TwoInOnePlace(t *testing.T) {
	store := memory.New(nil)
	l := New(hotTask(), store, func(measure.Sample) {})
	for client := range 2 {
		if err := l.worker(client).put(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if found := l.ReadBack(t.Context()); found.ReadBack != 2 || found.UnreadSessions != 0 || found.LostWrites != 0 {
		t.Errorf("found %+v, want both read back", found)
	}
	l.Clean(t.Context())
	if list, err := store.List(t.Context(), l.app, "", 10); err != nil || len(list) != 0 {
		t.Errorf("%d sessions are left, %v", len(list), err)
	}
}

// Shut stops the visits of a closed loop, and Open starts them again.
func TestLoad_ShutAndOpen(t *testing.T) {
	task := hotTask()
	task.Rate, task.Duration = 0, time.Hour // the test ends it
	r := measure.NewRecorder(task.Duration)
	first := make(chan struct{}, 1)
	l := New(task, memory.New(nil), func(s measure.Sample) {
		r.Add(s)
		select {
		case first <- struct{}{}:
		default:
		}
	})
	if err := l.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Shut()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx, time.Now()) }()
	if n := r.Recent().Requests; n != 0 {
		t.Errorf("%d requests after Shut, want none", n)
	}
	l.Open()
	<-first
	l.Shut()
	r.Recent()
	if n := r.Recent().Requests; n != 0 {
		t.Errorf("%d requests after the second Shut, want none", n)
	}
	l.Open()
	stop()
	<-ended
}
