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

// Load reads a configuration: the defaults, on them the file (none if path is empty), on
// that the environment, and on that the flags. lookup is os.LookupEnv. An error that is
// Mistakes tells each with its place and what would be right.
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

// environment is what MIRRORSTATE_… variables say.
func environment(lookup func(string) (string, bool)) []Setting {
	var said []Setting
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
		said = append(said, s)
	})
	return said
}

// commaList takes values with commas between them; an empty text is an empty list.
func commaList(text string) []string {
	values := []string{}
	for value := range strings.SplitSeq(text, ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// apply puts one layer on top of what is there.
func (c *Config) apply(layer []Setting) Mistakes {
	c.forget(layer)
	var wrong Mistakes
	for _, s := range layer {
		c.from[s.Key] = s.From
		if s.Values == nil {
			if alias, ok := strings.CutPrefix(s.Key, "apps."); ok {
				c.app(alias)
			}
			continue // a section; its keys follow
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

// forget drops what a layer replaces as a whole. A connection string or a web.config is the
// whole pair: what lower layers said of servers, login and TLS belongs to another one, but for keepPassword. Partners
// replace a string; on top of partners they count key by key. A password replaces the
// file of one, and the other way round.
func (c *Config) forget(layer []Setting) {
	said := func(match func(key string) bool) bool {
		return slices.ContainsFunc(layer, func(s Setting) bool {
			return match(s.Key) && s.Values != nil && !slices.Equal(s.Values, []string{""})
		})
	}
	whole := said(func(key string) bool { return key == "pair.connection_string" || key == "pair.web_config" })
	partners := said(func(key string) bool { return strings.HasPrefix(key, "pair.a.") || strings.HasPrefix(key, "pair.b.") })
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

// keepPassword gives what puts the environment's password back after a flag's connection string replaced the pair, if the
// string has none of its own: no secret need stand in a command line, where everybody on the machine reads it.
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
		for key, said := range from {
			if !strings.HasPrefix(said, "environment ") {
				continue
			}
			c.from[key] = said
			if key == "pair.password" {
				c.Pair.Password = password
			} else {
				c.Pair.PasswordFile = file
			}
		}
	}
}

// notOurs are variables that begin as ours do and belong to others: the embedded pair's, a
// caller's own key, the tests', and what Kubernetes puts into every container for a service called mirrorstate, or
// mirrorstate-api (MIRRORSTATE_SERVICE_HOST=…, MIRRORSTATE_PORT=tcp://…, MIRRORSTATE_PORT_8080_TCP_ADDR=…).
var notOurs = regexp.MustCompile(`^MIRRORSTATE_(EMBEDDED_PASSWORD=|KEY=|TEST_|(\w+_)?(` +
	`SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=))`)

// CheckEnvironment refuses MIRRORSTATE_… variables that nothing reads: a misspelled one
// would be a setting that is silently not there. environ is os.Environ().
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
		text := "is no variable of mirrorstate's" + didYouMean(name, known)
		if strings.HasPrefix(name, prefix+"APPS_") {
			text = "applications stand in the configuration file only, below apps"
		}
		wrong = append(wrong, Mistake{From: "environment " + name, Text: text})
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// ownSecrets is secretFile for the configuration itself, if there is a secret in it.
func (c *Config) ownSecrets(path string, file []Setting) error {
	for _, s := range file {
		secret, ok := c.find(s.Key).(*Secret)
		if ok && !secret.IsZero() && (s.Key != stringKey || secret.holdsPassword()) {
			return c.secretFile(path)
		}
	}
	return nil
}

// holdsPassword says whether a connection string has a password in it, or can't be read to tell.
func (s Secret) holdsPassword() bool {
	d, err := readConnectionString(s.Reveal())
	return err != nil || !d.source.Password.IsZero()
}

// secretFile notes that others can read a file with a secret in it. That they can change it is an error.
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

// noteSecrets notes what others can read of the files with secrets that others than this package read. Whoever reads one
// refuses it if others can change it, whenever it is read.
func (c *Config) noteSecrets() {
	for _, path := range []string{c.Auth.KeysFile, c.API.TLS.KeyFile, c.Admin.TLS.KeyFile, c.Pair.Watchdog.KeyFile} {
		if e := secretfile.Check(path); e != nil {
			c.note(e.Error())
		}
	}
}

// note adds what the operator should know and nobody need refuse.
func (c *Config) note(text string) {
	if text != "" && !slices.Contains(c.Notes, text) {
		c.Notes = append(c.Notes, text)
	}
}
