// Package filewatch notices that files have changed, by looking at them every two seconds.
//
// That costs one stat a file, works on every file system, and sees a file that was put in
// another's place by its name, as editors, mirrorstate key and Kubernetes do it.
package filewatch

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// every is how often files are looked at.
const every = 2 * time.Second

// Run calls changed at once, for what happened since the files were read, and then whenever
// one of them is not what it was at the last look, or has gone, until ctx ends; then it returns ctx's
// error. While changed fails it is called at every look, for what made it fail may not show in the
// files; failed is told of its error, once for each text. A file that changes within the clock's resolution and keeps
// its size is missed.
func Run(ctx context.Context, changed func() error, failed func(error), paths ...string) error {
	seen := look(paths)
	said := try(changed, failed, "")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := look(paths)
		if said != "" || differ(seen, now) {
			said = try(changed, failed, said)
		}
		seen = now
	}
}

// try calls changed, and failed unless the same was said before. It gives the error's text.
func try(changed func() error, failed func(error), said string) string {
	err := changed()
	if err == nil {
		return ""
	}
	if err.Error() != said {
		failed(err)
	}
	return err.Error()
}

// look gives what is known of the files; nil for one that is not there.
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
