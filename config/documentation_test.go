package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// documentation returns the page about the configuration.
func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every key has a row in the page, with its variable and, if it can be written, its default.
func TestDocumentation_Keys(t *testing.T) {
	want, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, rows := config.Keys(), map[string]bool{}
	for line := range strings.SplitSeq(documentation(t), "\n") {
		cells := strings.Split(line, " | ")
		key := strings.Trim(cells[0], "| `")
		if len(cells) < 4 || !strings.Contains(key, ".") && !slices.Contains(keys, key) || strings.Contains(key, " ") {
			continue
		}
		rows[key] = true
		if !slices.Contains(keys, key) {
			t.Errorf("there is a row for %s, but no such key", key)
		}
		if strings.HasPrefix(key, "apps.") {
			continue
		}
		if cells[1] != "`"+config.Variable(key)+"`" {
			t.Errorf("%s: the variable is %s, not %s", key, config.Variable(key), cells[1])
		}
		value := strings.Trim(cells[2], "`")
		if value == cells[2] {
			continue // a default that can't be written
		}
		got, err := load(t, "", map[string]string{config.Variable(key): value})
		if err != nil && strings.Contains(err.Error(), "servers") {
			continue // keys of the pair are refused without its servers
		}
		if err != nil || fmt.Sprint(got.API, got.Admin, got.Auth, got.Limits, got.Pair, got.Sweep, got.Log, got.Drain) != fmt.Sprint(want.API, want.Admin, want.Auth, want.Limits, want.Pair, want.Sweep, want.Log, want.Drain) {
			t.Errorf("%s: %s is not the default: %v", key, value, err)
		}
	}
	for _, key := range keys {
		if !rows[key] {
			t.Errorf("docs/configuration.md has no row for %s", key)
		}
	}
}

// Every example in the page can be loaded, with the files that it names.
func TestDocumentation_Examples(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"password": "p4ss\n", "ca.pem": certificate, "krb5.conf": "[libdefaults]\n", "web.keytab": "\x05\x02",
		"web.config": `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password=p4ss" />`,
	} {
		file(t, dir, name, text)
	}
	examples := strings.Split(documentation(t), "```yaml\n")[1:]
	if len(examples) < 5 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, text := range examples {
		text, _, _ = strings.Cut(text, "```")
		c, err := load(t, strings.ReplaceAll(text, "/etc/mirrorstate", dir), nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		if p, configured := c.Partners(); strings.Contains(text, "pair:") && (!configured || p.Database != "ASPState" || p.Servers[0].User != "web") {
			t.Errorf("the pair is %+v in\n%s", p, text)
		}
	}
}
