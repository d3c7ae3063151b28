package server

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// The database and the operators' listener get their share of the files, however few there are. If there are too few,
// the error names the number that is needed.
func TestShareFiles(t *testing.T) {
	for _, c := range []struct {
		files, connections int
		embedded           bool
		want               fileLimits
		wantErr            string
	}{
		{0, 20_000, true, fileLimits{64, 20_000, 1000}, ""}, // not known
		{100_000, 20_000, true, fileLimits{64, 20_000, 1000}, ""},
		{4096, 20_000, false, fileLimits{64, 2889, 963}, ""},
		{1024, 20_000, true, fileLimits{64, 498, 165}, ""},
		{120, 20_000, true, fileLimits{7, 24, 8}, ""},
		{80, 20_000, true, fileLimits{2, 11, 3}, ""},
		{71, 20_000, true, fileLimits{2, 4, 2}, ""},
		{70, 20_000, true, fileLimits{}, "at least 71"},
		{60, 20_000, false, fileLimits{10, 16, 5}, ""},
		{27, 20_000, false, fileLimits{2, 4, 2}, ""},
		{26, 20_000, false, fileLimits{}, "at least 27"},
		{100_000, 10, true, fileLimits{64, 10, 10}, ""},
	} {
		got, err := shareFiles(c.files, config.Limits{Connections: c.connections}, c.embedded)
		switch {
		case c.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("%+v: got error %v", c, err)
			}
		case err != nil || got != c.want:
			t.Errorf("%d files, embedded %v: got %+v, %v, want %+v", c.files, c.embedded, got, err, c.want)
		}
		if err != nil || c.files == 0 {
			continue
		}
		used := ownFiles + min(c.files/spareShare, spareMost) + got.api + got.admin + 2*got.sql
		if c.embedded {
			used += embeddedFiles + 2*got.sql
		}
		if used > c.files {
			t.Errorf("%d files, embedded %v: the limits allow %d", c.files, c.embedded, used)
		}
	}
}
