package report

import (
	"fmt"
	"strings"
)

// Tested is what was under load: without it a report is a number of nobody knows what.
type Tested struct {
	Host      string       `json:"host"` // the generator's: name, system and processors
	Targets   []string     `json:"targets,omitempty"`
	Admin     string       `json:"admin,omitempty"`
	Server    string       `json:"server,omitempty"` // its version; the generator's is the report's
	Own       bool         `json:"own"`              // the server was the load test's own
	OwnPair   bool         `json:"own_pair"`         // and so was its pair
	Database  string       `json:"database,omitempty"`
	Topology  string       `json:"topology,omitempty"`
	Witness   *bool        `json:"witness,omitempty"` // an embedded pair has one
	Schema    string       `json:"schema,omitempty"`
	Safety    string       `json:"safety,omitempty"` // FULL or OFF, the principal's word
	Partners  []string     `json:"partners,omitempty"`
	Epoch     *BeforeAfter `json:"epoch,omitempty"`
	Principal *FromTo      `json:"principal,omitempty"`
}

// BeforeAfter is a number before the load and after it.
type BeforeAfter struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// FromTo is a name before the load and after it.
type FromTo struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Summary says it in one line.
func (t Tested) Summary() string {
	what := "an own server"
	if len(t.Targets) > 0 {
		what = strings.Join(t.Targets, ", ")
	}
	if t.Server != "" && !t.Own {
		what += ", mirrorstate " + t.Server
	}
	if t.Topology == "" {
		return what + "; from " + t.Host
	}
	pair := t.Topology
	if t.OwnPair {
		pair = "an own embedded pair"
	}
	switch {
	case t.Witness != nil && *t.Witness:
		pair += " with a witness"
	case t.Witness != nil:
		pair += " without a witness"
	}
	for _, part := range []struct{ label, text string }{{"schema ", t.Schema}, {"SAFETY ", t.Safety}} {
		if part.text != "" {
			pair += ", " + part.label + part.text
		}
	}
	if t.Epoch != nil && t.Schema == "extended" {
		pair += fmt.Sprintf(", epoch %d to %d", t.Epoch.Before, t.Epoch.After)
	}
	if t.Principal != nil && t.Principal.Before != "" {
		pair += fmt.Sprintf(", principal %s to %s", t.Principal.Before, t.Principal.After)
	}
	return what + " on " + pair + "; from " + t.Host
}
