package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a key whose value has changed.
type Change struct {
	Key      string
	From, To string // as printed: a secret is masked; empty: not set
	// Restart is true if the running server uses the old value until it is restarted.
	Restart bool
}

// atOnce are the keys and sections whose new values a running server applies.
var atOnce = []string{"log.level", "drain.pause", "sweep", "apps", "apps_open"}

// Reloadable reports whether a running server applies a key's new value.
func Reloadable(key string) bool {
	return slices.ContainsFunc(atOnce, func(k string) bool { return key == k || strings.HasPrefix(key, k+".") })
}

// Diff returns the changes from c to next, in the order of Keys; applications are in the order of their aliases. Both
// configurations come from Load.
func (c *Config) Diff(next *Config) []Change {
	var changes []Change
	was := map[string]any{}
	c.visit(func(key string, v reflect.Value) { was[key] = v.Interface() })
	next.visit(func(key string, v reflect.Value) {
		if key == "apps" {
			changes = append(changes, diffApps(c.Apps, next.Apps)...)
		} else if !reflect.DeepEqual(was[key], v.Interface()) {
			changes = append(changes, Change{Key: key, From: shown(was[key]), To: shown(v.Interface()), Restart: !Reloadable(key)})
		}
	})
	// The content of a named file may have changed although the key has not: a password file, a web.config.
	if len(changes) == 0 && !reflect.DeepEqual(c.partners, next.partners) {
		changes = append(changes, Change{Key: "pair", From: "as read at the start", To: "as in its files now", Restart: true})
	}
	return changes
}

// diffApps compares applications key by key.
func diffApps(was, now map[string]App) []Change {
	both := maps.Clone(was)
	if both == nil {
		both = map[string]App{}
	}
	maps.Copy(both, now)
	var changes []Change
	for _, alias := range slices.Sorted(maps.Keys(both)) {
		before, after := fields(was, alias), fields(now, alias)
		app := defaultApp()
		walk("", reflect.ValueOf(&app).Elem(), func(field string, _ reflect.Value) {
			if before[field] != after[field] {
				changes = append(changes, Change{Key: "apps." + alias + "." + field, From: before[field], To: after[field]})
			}
		})
	}
	return changes
}

// fields returns an application's values as printed; none if there is no such alias.
func fields(apps map[string]App, alias string) map[string]string {
	app, ok := apps[alias]
	if !ok {
		return nil
	}
	values := map[string]string{}
	walk("", reflect.ValueOf(&app).Elem(), func(field string, v reflect.Value) { values[field] = shown(v.Interface()) })
	return values
}

// shown returns a value as printed.
func shown(value any) string {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		value = v.Elem().Interface()
	}
	return fmt.Sprint(value)
}

// TakeOver copies from next the values that a running server applies. It keeps the other values, so the next Diff
// reports them again.
func (c *Config) TakeOver(next Config) {
	c.Log.Level, c.Drain.Pause, c.Sweep = next.Log.Level, next.Drain.Pause, next.Sweep
	c.Apps, c.AppsOpen = next.Apps, next.AppsOpen
}
