package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLoad_Watchdog(t *testing.T) {
	environment := map[string]string{
		"MIRRORSTATE_PAIR_WATCHDOG_ENABLED": "true", "MIRRORSTATE_PAIR_WATCHDOG_DRY_RUN": "true",
		"MIRRORSTATE_PAIR_WATCHDOG_AFTER": "20s", "MIRRORSTATE_PAIR_WATCHDOG_COOL_DOWN": "1h",
		"MIRRORSTATE_PAIR_WATCHDOG_OBSERVERS": "http://10.0.0.2:8081, https://c.example/",
		"MIRRORSTATE_PAIR_WATCHDOG_SHARED":    "true", "MIRRORSTATE_PAIR_WATCHDOG_ALLOW_DATA_LOSS": "true",
	}
	all := Watchdog{
		Enabled: true, DryRun: true, After: 20 * time.Second, CoolDown: time.Hour,
		Observers: []string{"http://10.0.0.2:8081", "https://c.example/"}, Shared: true, AllowDataLoss: true,
	}
	for name, tc := range map[string]struct {
		file string
		env  map[string]string
		want Watchdog
	}{
		"is off by default": {"", nil, Watchdog{After: 10 * time.Second, CoolDown: 10 * time.Minute}},
		"every key": {"pair: {watchdog: {enabled: true, dry_run: true, after: 20s, cool_down: 1h, " +
			"observers: ['http://10.0.0.2:8081', 'https://c.example/'], shared: true, allow_data_loss: true}}", nil, all},
		"every variable":                 {"", environment, all},
		"an empty list in a variable":    {"pair: {watchdog: {observers: ['http://x']}}", map[string]string{"MIRRORSTATE_PAIR_WATCHDOG_OBSERVERS": ""}, Watchdog{After: 10 * time.Second, CoolDown: 10 * time.Minute}},
		"false in a variable over true ": {"pair: {watchdog: {enabled: true}}", map[string]string{"MIRRORSTATE_PAIR_WATCHDOG_ENABLED": "false"}, Watchdog{After: 10 * time.Second, CoolDown: 10 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(write(t, tc.file), func(k string) (string, bool) { v, ok := tc.env[k]; return v, ok })
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Pair.Watchdog; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestLoad_WatchdogRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"after: 10ms":                      "pair.watchdog.after",
		"after: 2h":                        "pair.watchdog.after",
		"cool_down: 5s":                    "pair.watchdog.cool_down",
		"observers: ['10.0.0.2:8081']":     "pair.watchdog.observers",
		"observers: ['ftp://x']":           "pair.watchdog.observers",
		"observers: ['http://x/v1/pair']":  "pair.watchdog.observers",
		"observers: ['http://x?api=true']": "pair.watchdog.observers",
		"observer: ['http://x']":           "line 1",
	} {
		if _, err := Load(write(t, "pair: {watchdog: {"+file+"}}"), none); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", file, err, want)
		}
	}
	yes := func(k string) (string, bool) { return "yes", k == "MIRRORSTATE_PAIR_WATCHDOG_ENABLED" }
	if _, err := Load("", yes); err == nil || !strings.Contains(err.Error(), "MIRRORSTATE_PAIR_WATCHDOG_ENABLED") {
		t.Errorf("got %v, want the variable named", err)
	}
}
