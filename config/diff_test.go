package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

func TestDiff(t *testing.T) {
	const before = `
log: {level: info}
pair: {connection_string: data source=s1;failover partner=s2, user: web, password: first}
apps:
  shop: {name: /LM/W3SVC/1/ROOT/shop, timeout: 20}
  old: {name: /LM/W3SVC/1/ROOT/old}
`
	for name, tc := range map[string]struct {
		replace []string
		want    []string
	}{
		"nothing":                      {want: nil},
		"a log level, applied at once": {[]string{"level: info", "level: debug"}, []string{"log.level: info -> debug"}},
		"a password, masked, applied at a restart":                        {[]string{"first", "second"}, []string{"pair.password: ******** -> ******** (restart)"}},
		"a connection string, masked":                                     {[]string{"s2,", "s3,"}, []string{"pair.connection_string: ******** -> ******** (restart)"}},
		"a value of an application":                                       {[]string{"timeout: 20", "timeout: 30"}, []string{"apps.shop.timeout: 20 -> 30"}},
		"a removed application":                                           {[]string{"  old: {name: /LM/W3SVC/1/ROOT/old}\n", ""}, []string{"apps.old.name: /LM/W3SVC/1/ROOT/old -> ", "apps.old.timeout: 20 -> ", "apps.old.lock_timeout: 1m50s -> ", "apps.old.max_size: 4194304 -> "}},
		"the hold window, and drain.timeout, whose default depends on it": {[]string{"pair: {", "pair: {hold: {window: 20s}, "}, []string{"pair.hold.window: 30s -> 20s (restart)", "drain.timeout: 40s -> 30s (restart)"}},
		"a boolean key that was not set":                                  {[]string{"user: web", "trust_server_certificate: true, user: web"}, []string{"pair.trust_server_certificate:  -> true (restart)"}},
	} {
		t.Run(name, func(t *testing.T) {
			was, err := load(t, before, nil)
			if err != nil {
				t.Fatal(err)
			}
			now, err := load(t, strings.NewReplacer(append([]string{"\x00", ""}, tc.replace...)...).Replace(before), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range was.Diff(&now) {
				line := c.Key + ": " + c.From + " -> " + c.To
				if c.Restart {
					line += " (restart)"
				}
				got = append(got, line)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// A changed password file counts as a change, although no key has another value.
func TestDiff_PasswordFile(t *testing.T) {
	dir := t.TempDir()
	text := "pair: {connection_string: data source=s1;failover partner=s2, user: web, password_file: " + dir + "/password}\n"
	var read [2]config.Config
	for i, password := range []string{"first-s3cret", "second-s3cret"} {
		file(t, dir, "password", password)
		var err error
		if read[i], err = load(t, text, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := read[0].Diff(&read[1])
	if len(got) != 1 || got[0].Key != "pair" || !got[0].Restart || strings.Contains(fmt.Sprint(got), "s3cret") {
		t.Errorf("got %+v", got)
	}
	if got := read[0].Diff(&read[0]); len(got) != 0 {
		t.Errorf("against itself: %+v", got)
	}
}
