package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// entry returns the entry of the new key. It checks the flags against the configuration and each other.
func (f *newKeyFlags) entry(name string, cfg config.Config, now time.Time) (e keyring.Entry, err error) {
	rights := f.rights
	if len(rights) == 0 && len(f.apps) > 0 {
		rights = keyring.Sessions.Names()
	}
	if f.operator {
		rights = append(rights, keyring.Operators.Names()...)
	}
	set, err := keyring.ParseRights(rights)
	if err != nil {
		return e, err
	}
	if set == 0 {
		return e, fmt.Errorf("no rights given: pass --app with the applications, or --operator")
	}
	for _, app := range f.apps {
		if _, alias := cfg.Apps[app]; !alias && app != "*" && !strings.HasPrefix(app, "/") {
			return e, fmt.Errorf("--app %s is neither an alias of the configuration (%s) nor a name such as %s; pass the configuration with that alias with --config", app, strings.Join(aliases(cfg.Apps), ", "), config.DefaultApp)
		}
	}
	e = keyring.Entry{Name: name, Certificate: f.certificate, Apps: f.apps, Rights: set.Names()}
	if f.expires != "" {
		if e.Expires, err = parseExpires(f.expires, now); err != nil {
			return e, err
		}
	}
	probe := e // Check requires an id, which the entry gets later
	probe.ID, probe.Certificate = "probe", "probe"
	return e, probe.Check()
}

// parseExpires parses the time at which a key expires: days, a duration, or a date in UTC.
func parseExpires(text string, now time.Time) (time.Time, error) {
	end, err := time.Parse(time.DateOnly, text)
	if err != nil {
		var d time.Duration
		if days, ok := strings.CutSuffix(text, "d"); ok {
			n, nerr := strconv.ParseUint(days, 10, 15)
			d, err = time.Duration(n)*24*time.Hour, nerr
		} else {
			d, err = time.ParseDuration(text)
		}
		end = now.Add(d)
	}
	if err != nil || !end.After(now) {
		return end, fmt.Errorf("--expires must be a time in the future, such as 90d, 12h or 2027-01-31, not %q", text)
	}
	return end.UTC().Truncate(time.Second), nil
}

// aliases returns the aliases of the configured applications, sorted.
func aliases(apps map[string]config.App) []string { return slices.Sorted(maps.Keys(apps)) }
