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

// Setting is the value of one key, with its place.
type Setting struct {
	Key    string   // such as pair.hold.window
	Values []string // one value, or those of a list; nil: a section begins here
	From   string   // where it was set: a place in the file, a variable, a flag
}

// Flag returns the setting of a flag. name is as typed (--api), key is the key that the flag sets.
func Flag(name, key, value string) Setting {
	return Setting{Key: key, Values: []string{value}, From: name}
}

// prefix is the prefix of mirrorstate's variables.
const prefix = "MIRRORSTATE_"

// Variable returns the environment variable for a key: for pair.hold.window it is MIRRORSTATE_PAIR_HOLD_WINDOW.
func Variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Keys returns all keys, in the order of Config. The keys of an application have its alias in
// the middle, which the operator chooses: apps.ALIAS.name. They can be set only in the file.
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

// parent returns the section of a key; empty: none.
func parent(key string) string {
	return key[:max(strings.LastIndexByte(key, '.'), 0)]
}

// unknownKey returns the mistake for an unknown key, with the key that was probably meant.
func unknownKey(key, from string) Mistake {
	var known []string
	alias, _, _ := cutApp(key)
	for _, k := range Keys() {
		if section := parent(k); section != "" && section != "apps.ALIAS" && !slices.Contains(known, section) {
			known = append(known, section)
		}
		known = append(known, strings.Replace(k, "ALIAS", alias, 1))
	}
	return Mistake{From: from, Text: "unknown key " + key + didYouMean(key, known)}
}

// visit calls f with every key and its value.
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

// find returns a pointer to a key's value; nil: no such key.
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

// cutApp splits an application's key. An alias may contain dots, the name of a field does not.
func cutApp(key string) (alias, field string, ok bool) {
	rest, ok := strings.CutPrefix(key, "apps.")
	if dot := strings.LastIndexByte(rest, '.'); ok && dot >= 0 {
		return rest[:dot], rest[dot+1:], true
	}
	return "", "", false
}

// findApp returns a pointer to an application's field. For an unknown alias it belongs to no application.
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

// set sets the value that place points to.
func set(place any, values []string) error {
	if list, ok := place.(*[]string); ok {
		*list = values
		if len(values) == 0 {
			*list = nil
		}
		return nil
	}
	if len(values) != 1 {
		return errors.New("must have one value, not a list")
	}
	return setOne(place, values[0])
}

// setOne parses text as the type that place points to.
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
		err = fmt.Errorf("can't be set: type %T is not supported", place)
	}
	return err
}

// parseBool accepts only true and false, not 1 or yes.
func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, fmt.Errorf("%q must be true or false", text)
	}
	return text == "true", nil
}
