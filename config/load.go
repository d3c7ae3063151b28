package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mirrorstate/mirrorstate/secretfile"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// Load reads a configuration. Flags override the environment, which overrides the file (none if path is empty),
// which overrides the defaults. lookup is os.LookupEnv. An error of type
// Mistakes lists each mistake with its place and what to do.
func Load(path string, lookup func(string) (string, bool), flags ...Setting) (Config, error) {
	c := defaults()
	c.from = map[string]string{}
	var file []Setting
	if path != "" {
		text, err := textfile.Read(path)
		if err != nil && !errors.Is(err, textfile.ErrEncoding) {
			return Config{}, fmt.Errorf("read the configuration: %w", err)
		}
		if err != nil || !utf8.Valid(text) {
			return Config{}, Mistakes{{From: "configuration " + path, Text: textfile.ErrEncoding.Error()}}
		}
		var wrong Mistakes
		if file, wrong = readYAML("configuration "+path, text); len(wrong) > 0 {
			return Config{}, wrong
		}
	}
	var wrong Mistakes
	for _, layer := range [][]Setting{file, environment(lookup), flags} {
		wrong = append(wrong, c.apply(layer)...)
	}
	if len(wrong) > 0 {
		return Config{}, wrong
	}
	c.fill()
	wrong = append(c.mistakes(), c.resolve()...)
	if err := c.ownSecrets(path, file); err != nil {
		wrong = append(wrong, Mistake{From: "configuration " + path, Text: err.Error()})
	}
	c.noteSecrets()
	if len(wrong) > 0 {
		return Config{}, wrong
	}
	return c, nil
}

// environment returns the settings of the MIRRORSTATE_… variables.
func environment(lookup func(string) (string, bool)) []Setting {
	var all []Setting
	c := defaults()
	lookup = textfile.Lookup(lookup)
	c.visit(func(key string, v reflect.Value) {
		text, ok := lookup(Variable(key))
		if !ok || key == "apps" {
			return
		}
		s := Setting{Key: key, Values: []string{text}, From: "environment " + Variable(key)}
		if v.Kind() == reflect.Slice {
			s.Values = commaList(text)
		}
		all = append(all, s)
	})
	return all
}

// commaList splits values that are separated by commas; an empty text is an empty list.
func commaList(text string) []string {
	values := []string{}
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// apply applies one layer on top of the earlier ones.
func (c *Config) apply(layer []Setting) Mistakes {
	c.forget(layer)
	var wrong Mistakes
	for _, s := range layer {
		c.from[s.Key] = s.From
		if s.Values == nil {
			if alias, ok := strings.CutPrefix(s.Key, "apps."); ok {
				c.app(alias)
			}
			continue // the beginning of a section; its keys follow
		}
		place := c.find(s.Key)
		if place == nil {
			wrong = append(wrong, unknownKey(s.Key, s.From))
			continue
		}
		if err := set(place, s.Values); err != nil {
			wrong = append(wrong, Mistake{From: s.From, Key: s.Key, Text: err.Error()})
		}
	}
	return wrong
}

// forget resets the keys that a layer replaces as a whole. A connection string or a web.config describes a whole pair.
// So the servers, login and TLS of lower layers do not apply to it; the only exception is the password that
// keepPassword keeps. Partners replace a connection string; partners on top of partners override single keys. A
// password replaces a password_file, and a password_file replaces a password.
func (c *Config) forget(layer []Setting) {
	sets := func(match func(key string) bool) bool {
		return slices.ContainsFunc(layer, func(s Setting) bool {
			return match(s.Key) && s.Values != nil && !slices.Equal(s.Values, []string{""})
		})
	}
	whole := sets(func(key string) bool { return key == "pair.connection_string" || key == "pair.web_config" })
	partners := sets(func(key string) bool { return strings.HasPrefix(key, "pair.a.") || strings.HasPrefix(key, "pair.b.") })
	if whole || partners && (!c.Pair.ConnectionString.IsZero() || c.Pair.WebConfig != "") {
		defer c.keepPassword(layer)()
		c.Pair.Source = Source{}
		walk("pair.", reflect.ValueOf(&c.Pair.Source).Elem(), func(key string, _ reflect.Value) {
			delete(c.from, key)
			if section := parent(key); section != "pair" {
				delete(c.from, section)
			}
		})
	}
	for _, s := range layer {
		other, isFile := strings.CutSuffix(s.Key, "password_file")
		if isFile {
			other += "password"
		} else if strings.HasSuffix(s.Key, "password") {
			other = s.Key + "_file"
		}
		if place := c.find(other); other != s.Key && place != nil {
			_ = setOne(place, "")
		}
	}
}

// keepPassword returns a function that restores the environment's password after a flag's connection string replaced the
// pair. It does so only if the string has no password. So no secret must be in a command line, which everybody on the
// machine can read.
func (c *Config) keepPassword(layer []Setting) (putBack func()) {
	flag := slices.IndexFunc(layer, func(s Setting) bool {
		return s.Key == stringKey && strings.HasPrefix(s.From, "--") && len(s.Values) == 1
	})
	if flag < 0 {
		return func() {}
	}
	if d, err := readConnectionString(layer[flag].Values[0]); err != nil || !d.source.Password.IsZero() {
		return func() {}
	}
	password, file, from := c.Pair.Password, c.Pair.PasswordFile, map[string]string{"pair.password": c.from["pair.password"], "pair.password_file": c.from["pair.password_file"]}
	return func() {
		for key, place := range from {
			if !strings.HasPrefix(place, "environment ") {
				continue
			}
			c.from[key] = place
			if key == "pair.password" {
				c.Pair.Password = password
			} else {
				c.Pair.PasswordFile = file
			}
		}
	}
}

// notOurs matches variables with mirrorstate's prefix that are not configuration keys: the password of the embedded
// pair, a caller's key, and variables of the tests. It also matches those that Kubernetes sets in every container for a
// service called mirrorstate or mirrorstate-api (MIRRORSTATE_SERVICE_HOST=…, MIRRORSTATE_PORT=tcp://…,
// MIRRORSTATE_PORT_8080_TCP_ADDR=…).
var notOurs = regexp.MustCompile(`^MIRRORSTATE_(EMBEDDED_PASSWORD=|KEY=|TEST_|(\w+_)?(` +
	`SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=))`)

// CheckEnvironment returns an error for MIRRORSTATE_… variables that nothing reads: a misspelled variable
// would otherwise be ignored silently. environ is os.Environ().
func CheckEnvironment(environ []string) error {
	var known []string
	for _, key := range Keys() {
		if !strings.HasPrefix(key, "apps.") {
			known = append(known, Variable(key))
		}
	}
	var wrong Mistakes
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		if !strings.HasPrefix(name, prefix) || slices.Contains(known, name) || notOurs.MatchString(name+"="+value) {
			continue
		}
		text := "unknown variable" + didYouMean(name, known)
		if strings.HasPrefix(name, prefix+"APPS_") {
			text = "applications can be set only in the configuration file, in the section apps"
		}
		wrong = append(wrong, Mistake{From: "environment " + name, Text: text})
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// ownSecrets calls secretFile for the configuration file if it contains a secret.
func (c *Config) ownSecrets(path string, file []Setting) error {
	for _, s := range file {
		secret, ok := c.find(s.Key).(*Secret)
		if ok && !secret.IsZero() && (s.Key != stringKey || secret.holdsPassword()) {
			return c.secretFile(path)
		}
	}
	return nil
}

// holdsPassword reports whether a connection string contains a password, or can't be parsed.
func (s Secret) holdsPassword() bool {
	d, err := readConnectionString(s.Reveal())
	return err != nil || !d.source.Password.IsZero()
}

// secretFile adds a note if others can read a file with a secret. It returns an error if they can change it.
func (c *Config) secretFile(path string) error {
	e := secretfile.Check(path)
	if e == nil {
		return nil
	}
	if e.Changeable {
		return e
	}
	c.note(e.Error())
	return nil
}

// noteSecrets adds notes for files with secrets that others can read. It covers the files that other packages read; those
// packages refuse a file that others can change.
func (c *Config) noteSecrets() {
	for _, path := range []string{c.Auth.KeysFile, c.API.TLS.KeyFile, c.Admin.TLS.KeyFile, c.Pair.Watchdog.KeyFile} {
		if e := secretfile.Check(path); e != nil {
			c.note(e.Error())
		}
	}
}

// note adds a warning for the operator.
func (c *Config) note(text string) {
	if text != "" && !slices.Contains(c.Notes, text) {
		c.Notes = append(c.Notes, text)
	}
}
