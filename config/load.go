package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Load reads a configuration: the defaults, on them the file (none if path is
// empty), and on that the environment. lookup is os.LookupEnv.
// Errors name the file and line, or the variable, and what would be right.
func Load(path string, lookup func(string) (string, bool)) (Config, error) {
	c := defaults()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("read the configuration: %w", err)
		}
		if err = c.parse(text); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	if err := c.applyEnvironment(lookup); err != nil {
		return Config{}, err
	}
	c.fill()
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", oneLine(err))
	}
	return c, nil
}

// parse reads the YAML text on top of what is there; unknown keys are errors.
func (c *Config) parse(text []byte) error {
	said := *c
	err := yaml.UnmarshalWithOptions(text, c, yaml.Strict(), yaml.CustomUnmarshaler(func(d *time.Duration, text []byte) error {
		return setDuration(d)(unquoted(text))
	}))
	if err == nil {
		if reflect.DeepEqual(*c, Config{}) { // a file that says nothing
			*c = said
		}
		return nil
	}
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil {
		at := syntax.GetToken().Position
		return fmt.Errorf("line %d, column %d: %s", at.Line, at.Column, syntax.GetMessage())
	}
	return oneLine(err)
}

// unquoted is the text of a scalar.
func unquoted(text []byte) string { return strings.Trim(strings.TrimSpace(string(text)), `"'`) }

// oneLine folds an error's text into one line.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " "))
}

// applyEnvironment sets what MIRRORSTATE_… variables say.
func (c *Config) applyEnvironment(lookup func(string) (string, bool)) error {
	for _, key := range []struct {
		name string
		set  func(string) error
	}{
		{"MIRRORSTATE_API_LISTEN", setString(&c.API.Listen)},
		{"MIRRORSTATE_ADMIN_LISTEN", setString(&c.Admin.Listen)},
		{"MIRRORSTATE_PAIR_CONNECTION_STRING", setString(&c.Pair.ConnectionString)},
		{"MIRRORSTATE_PAIR_EXPOSED", setString(&c.Pair.Exposed)},
		{"MIRRORSTATE_PAIR_HOLD_WINDOW", setDuration(&c.Pair.Hold.Window)},
		{"MIRRORSTATE_PAIR_HOLD_SIZE", setInt(&c.Pair.Hold.Size)},
		{"MIRRORSTATE_PAIR_HOLD_BYTES", setSize(&c.Pair.Hold.Bytes)},
		{"MIRRORSTATE_PAIR_WATCHDOG_ENABLED", setBool(&c.Pair.Watchdog.Enabled)},
		{"MIRRORSTATE_PAIR_WATCHDOG_DRY_RUN", setBool(&c.Pair.Watchdog.DryRun)},
		{"MIRRORSTATE_PAIR_WATCHDOG_AFTER", setDuration(&c.Pair.Watchdog.After)},
		{"MIRRORSTATE_PAIR_WATCHDOG_COOL_DOWN", setDuration(&c.Pair.Watchdog.CoolDown)},
		{"MIRRORSTATE_PAIR_WATCHDOG_OBSERVERS", setList(&c.Pair.Watchdog.Observers)},
		{"MIRRORSTATE_PAIR_WATCHDOG_SHARED", setBool(&c.Pair.Watchdog.Shared)},
		{"MIRRORSTATE_PAIR_WATCHDOG_ALLOW_DATA_LOSS", setBool(&c.Pair.Watchdog.AllowDataLoss)},
	} {
		value, ok := lookup(key.name)
		if !ok {
			continue
		}
		if err := key.set(value); err != nil {
			return fmt.Errorf("environment %s: %w", key.name, err)
		}
	}
	return nil
}

func setString(to *string) func(string) error {
	return func(s string) error { *to = s; return nil }
}

// setBool takes true and false only: what 1 or yes would mean need not be guessed.
func setBool(to *bool) func(string) error {
	return func(s string) error {
		if s != "true" && s != "false" {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		*to = s == "true"
		return nil
	}
}

// setList takes values with commas between them; an empty text is an empty list.
func setList(to *[]string) func(string) error {
	return func(s string) error {
		*to = nil
		for value := range strings.SplitSeq(s, ",") {
			if value = strings.TrimSpace(value); value != "" {
				*to = append(*to, value)
			}
		}
		return nil
	}
}

func setInt(to *int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not a number", s)
		}
		*to = n
		return nil
	}
}

func setDuration(to *time.Duration) func(string) error {
	return func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write one like 30s", s)
		}
		*to = d
		return nil
	}
}

func setSize(to *Size) func(string) error {
	return func(s string) (err error) { *to, err = ParseSize(s); return err }
}
