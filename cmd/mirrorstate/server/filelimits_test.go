package server

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// Clients leave files for the database and for the operators, however few there are; and
// too few are refused, with the number that would do.
func TestShareFiles(t *testing.T) {
	for _, c := range []struct {
		files, connections int
		embedded           bool
		want               fileLimits
		refused            string
	}{
		{0, 20_000, true, fileLimits{64, 20_000, 1000}, ""}, // nobody knows
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
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%+v: %v", c, err)
			}
		case err != nil || got != c.want:
			t.Errorf("of %d files, embedded %v: %+v, %v; want %+v", c.files, c.embedded, got, err, c.want)
		}
		if err != nil || c.files == 0 {
			continue
		}
		used := ownFiles + min(c.files/spareShare, spareMost) + got.api + got.admin + 2*got.sql
		if c.embedded {
			used += embeddedFiles + 2*got.sql
		}
		if used > c.files {
			t.Errorf("of %d files, embedded %v: %d may be used", c.files, c.embedded, used)
		}
	}
}
