package engine

import (
	"strings"
	"testing"
)

// Every view with rows has a table, and every table is a view.
func TestViews_AreDeclared(t *testing.T) {
	for name, v := range views() {
		if viewRows[name] == nil || len(v.columns) == 0 {
			t.Errorf("%s: its rows have no function, or it has no columns: %v", name, v.columns)
		}
	}
	for name := range viewRows {
		if !strings.HasPrefix(views()[name].text, "CREATE TEMP TABLE IF NOT EXISTS "+name) {
			t.Errorf("%s is not declared: %q", name, views()[name].text)
		}
	}
}

func TestPlant_RefusesUnknownNames(t *testing.T) {
	p := &Partner{}
	for want, plant := range map[string]Planted{
		"no such view":        {Views: map[string][]map[string]any{"sys.none": nil}},
		"no such column none": {Views: map[string][]map[string]any{"sys.databases": {{"none": 1}}}},
	} {
		if err := p.Plant(plant); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
