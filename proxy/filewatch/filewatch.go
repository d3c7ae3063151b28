// Package filewatch detects changes of files. It checks them every two seconds.
//
// A check costs one stat per file and works on every file system. It detects a file that replaced
// another by a rename, as editors, mirrorstate key and Kubernetes do.
package filewatch

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// every is the interval between two checks.
const every = 2 * time.Second

// Run calls changed at once, because the files may have changed since they were read. Then it calls
// changed whenever a file differs from the last check, or has gone. It returns ctx's error when ctx ends.
// After an error Run calls changed at every check, because its cause may not show in the files.
// It passes the error to failed, but not the same text twice in a row. Run misses a change that keeps the file's
// size and happens within the resolution of the file's time.
func Run(ctx context.Context, changed func() error, failed func(error), paths ...string) error {
	seen := look(paths)
	reported := try(changed, failed, "")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := look(paths)
		if reported != "" || differ(seen, now) {
			reported = try(changed, failed, reported)
		}
		seen = now
	}
}

// try calls changed. It passes an error to failed unless its text was the last one reported. It returns the
// error's text; empty: no error.
func try(changed func() error, failed func(error), reported string) string {
	err := changed()
	if err == nil {
		return ""
	}
	if err.Error() != reported {
		failed(err)
	}
	return err.Error()
}

// look returns the state of the files; nil for a file that does not exist.
func look(paths []string) []fs.FileInfo {
	infos := make([]fs.FileInfo, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			infos[i] = info
		}
	}
	return infos
}

func differ(before, now []fs.FileInfo) bool {
	for i, info := range now {
		was := before[i]
		if info == nil && was == nil {
			continue
		}
		if info == nil || was == nil || !os.SameFile(was, info) || !was.ModTime().Equal(info.ModTime()) || was.Size() != info.Size() {
			return true
		}
	}
	return false
}
