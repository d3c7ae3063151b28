package filewatch_test

import (
	"context"
	"os"
	"path/filepath"
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
		go func() { ended <- filewatch.Run(ctx, func() { calls.Add(1) }, a, b) }()
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
			t.Errorf("called %d times at first", got)
		}
		time.Sleep(time.Second) // so that the test looks between two looks
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
		next(4, "it is gone")
		write(t, a, "one")
		next(5, "it is back")
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
