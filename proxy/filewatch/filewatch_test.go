package filewatch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/proxy/filewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "one")
	write(t, b, "one")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		ended := make(chan error)
		go func() {
			ended <- filewatch.Run(ctx, func() error { calls.Add(1); return nil }, func(err error) { t.Error(err) }, a, b)
		}()
		next := func(want int64, what string) {
			t.Helper()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := calls.Load(); got != want {
				t.Errorf("%s: called %d times, want %d", what, got, want)
			}
		}
		synctest.Wait()
		if got := calls.Load(); got != 1 {
			t.Errorf("called %d times at the start, want 1", got)
		}
		time.Sleep(time.Second) // so that the test's checks fall between those of Run
		next(1, "nothing changed")
		write(t, b, "longer")
		next(2, "another size")
		if err := os.Chtimes(a, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		next(3, "another time")
		write(t, a+".new", "one")
		if err := os.Chtimes(a+".new", time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(a+".new", a); err != nil {
			t.Fatal(err)
		}
		next(4, "another file of that name, size and time")
		if err := os.Remove(a); err != nil {
			t.Fatal(err)
		}
		next(5, "a file has gone")
		next(5, "the file is still gone")
		write(t, a, "one")
		next(6, "the file is back")
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}

// Run retries until changed succeeds, and reports each error once.
func TestRun_Fails(t *testing.T) {
	a := filepath.Join(t.TempDir(), "a")
	write(t, a, "one")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		results := []error{nil, errors.New("x"), errors.New("x"), errors.New("y"), nil, errors.New("y"), nil}
		calls := 0
		var reported []string
		ended := make(chan error)
		go func() {
			ended <- filewatch.Run(ctx, func() error { calls++; return results[calls-1] }, func(err error) { reported = append(reported, err.Error()) }, a)
		}()
		time.Sleep(time.Second)
		write(t, a, "longer") // the first of only two changes
		time.Sleep(20 * time.Second)
		write(t, a, "longer still") // the second
		time.Sleep(20 * time.Second)
		cancel()
		<-ended
		if got := strings.Join(reported, ","); calls != len(results) || got != "x,y,y" {
			t.Errorf("called %d times, reported %s; want %d, x,y,y", calls, got, len(results))
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
