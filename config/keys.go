package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one key's value as somebody gave it.
type Setting struct {
	Key    string   // such as pair.hold.window
	Values []string // one, or those of a list; nil: a section begins here
	From   string   // where it was said: a place in the file, a variable, a flag
}

// Flag is what a flag says: name as it is typed (--api), and the key it stands for.
func Flag(name, key, value string) Setting {
	return Setting{Key: key, Values: []string{value}, From: name}
}

// prefix begins every variable of ours.
const prefix = "MIRRORSTATE_"

// Variable is the key's name in the environment: pair.hold.window is MIRRORSTATE_PAIR_HOLD_WINDOW.
func Variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Keys are all keys there are, in the order of Config. Those of an application have its alias in
// the middle, which is the operator's: apps.ALIAS.name. They can be said in the file only.
func Keys() []string {
	var all []string
	c := defaults()
	c.visit(func(key string, v reflect.Value) {
		if key != "apps" {
			all = append(all, key)
			return
		}
		app := defaultApp()
		walk("apps.ALIAS.", reflect.ValueOf(&app).Elem(), func(key string, _ reflect.Value) { all = append(all, key) })
	})
	return all
}

// parent is the section a key stands in; empty: none.
func parent(key string) string {
	return key[:max(strings.LastIndexByte(key, '.'), 0)]
}

// unknownKey is the complaint about a key that is none, with the one that was probably meant.
func unknownKey(key, from string) Mistake {
	var known []string
	alias, _, _ := cutApp(key)
	for _, k := range Keys() {
		if section := parent(k); section != "" && section != "apps.ALIAS" && !slices.Contains(known, section) {
			known = append(known, section)
		}
		known = append(known, strings.Replace(k, "ALIAS", alias, 1))
	}
	return Mistake{From: from, Text: key + " is not known" + didYouMean(key, known)}
}

// visit calls f with every key and the place of its value.
func (c *Config) visit(f func(key string, value reflect.Value)) {
	walk("", reflect.ValueOf(c).Elem(), f)
}

// walk calls f for every field of v that holds a value; a struct is a section of keys.
func walk(prefix string, v reflect.Value, f func(key string, value reflect.Value)) {
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch field := v.Field(i); {
		case option == "inline":
			walk(prefix, field, f)
		case name == "" || name == "-":
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[Secret]():
			walk(prefix+name+".", field, f)
		default:
			f(prefix+name, field)
		}
	}
}

// find gives the place of a key's value; nil: there is no such key.
func (c *Config) find(key string) any {
	if alias, field, ok := cutApp(key); ok {
		return c.findApp(alias, field)
	}
	var place any
	c.visit(func(k string, v reflect.Value) {
		if k == key {
			place = v.Addr().Interface()
		}
	})
	return place
}

// cutApp takes an application's key apart. An alias may hold dots, a field's name does not.
func cutApp(key string) (alias, field string, ok bool) {
	rest, ok := strings.CutPrefix(key, "apps.")
	if dot := strings.LastIndexByte(rest, '.'); ok && dot >= 0 {
		return rest[:dot], rest[dot+1:], true
	}
	return "", "", false
}

// findApp gives the place of an application's field. Of an alias that nobody said, it is nowhere.
func (c *Config) findApp(alias, field string) (place any) {
	app := c.apps[alias]
	if app == nil {
		app = new(App)
	}
	walk("", reflect.ValueOf(app).Elem(), func(k string, v reflect.Value) {
		if k == field {
			place = v.Addr().Interface()
		}
	})
	return place
}

// set puts a value into the place of its key.
func set(place any, values []string) error {
	if list, ok := place.(*[]string); ok {
		*list = values
		if len(values) == 0 {
			*list = nil
		}
		return nil
	}
	if len(values) != 1 {
		return errors.New("wants one value, not a list")
	}
	return setOne(place, values[0])
}

// setOne reads text as the type of its place.
func setOne(place any, text string) (err error) {
	switch to := place.(type) {
	case *string:
		*to = text
	case *Secret:
		*to = NewSecret(text)
	case *bool:
		*to, err = parseBool(text)
	case **bool:
		var b bool
		b, err = parseBool(text)
		*to = &b
	case *int:
		if *to, err = strconv.Atoi(text); err != nil {
			err = fmt.Errorf("%q is not a number", text)
		}
	case *time.Duration:
		if *to, err = time.ParseDuration(text); err != nil {
			err = fmt.Errorf("%q is not a duration; write one like 30s or 1m30s", text)
		}
	case *Size:
		*to, err = ParseSize(text)
	default:
		err = fmt.Errorf("can't be set: no way to read a %T is known", place)
	}
	return err
}

// parseBool takes true and false only: what 1 or yes would mean need not be guessed.
func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return text == "true", nil
}
