package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/mirrorstate/mirrorstate/config"
)

// No way to print a configuration prints its secrets.
func TestSecret(t *testing.T) {
	c, err := load(t, "pair: {connection_string: data source=a;failover partner=b;user id=web;password="+marker+"}", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := c.Partners()
	secret := config.NewSecret(marker)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%5.2s", "%t", "%08v"} {
		for _, v := range []any{c, &c, c.Pair, p, &p, secret, &secret, []config.Secret{secret}, map[string]config.Secret{"x": secret}, map[config.Secret]int{secret: 1}, struct{ unexported config.Secret }{secret}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, marker) || strings.Contains(text, fmt.Sprintf("%x", marker)) {
				t.Errorf("%s of a %T shows the secret: %s", verb, v, text)
			}
		}
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("loaded", "config", c, "pair", p, "secret", secret)
	}
	for name, encode := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal} {
		for _, v := range []any{c, p, secret} {
			text, err := encode(v)
			logged.Write(text)
			if err != nil {
				t.Errorf("%s of a %T: %v", name, v, err)
			}
		}
	}
	type hidden struct {
		XMLName xml.Name `xml:"x"`
		Secret  config.Secret
	}
	text, err := xml.Marshal(hidden{Secret: secret})
	if err != nil {
		t.Error(err)
	}
	logged.Write(text)
	if strings.Contains(logged.String(), marker) {
		t.Errorf("a secret is encoded or logged: %s", &logged)
	}
	if secret.String() != "********" || secret.GoString() != "********" || (config.Secret{}).String() != "" {
		t.Errorf("the secret is masked as %q, an empty secret as %q", secret.String(), (config.Secret{}).String())
	}
}
