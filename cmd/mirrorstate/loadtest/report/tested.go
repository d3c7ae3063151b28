package report

import (
	"fmt"
	"strings"
)

// Tested describes what was tested.
type Tested struct {
	Host      string       `json:"host"`               // host of the generator: name, operating system and processors
	Targets   []string     `json:"targets,omitempty"`  // URLs of the session APIs under test
	Admin     string       `json:"admin,omitempty"`    // URL of the operators' listener
	Server    string       `json:"server,omitempty"`   // its version; the generator's is in the report
	Own       bool         `json:"own"`                // the load test started the server
	OwnPair   bool         `json:"own_pair"`           // the load test started the pair
	Database  string       `json:"database,omitempty"` // name of the mirrored database
	Topology  string       `json:"topology,omitempty"` // mirroring, availability-group, embedded or plain
	Witness   *bool        `json:"witness,omitempty"`  // whether an embedded pair has a witness
	Schema    string       `json:"schema,omitempty"`   // stock or extended
	Safety    string       `json:"safety,omitempty"`   // FULL or OFF, as the principal says
	Partners  []string     `json:"partners,omitempty"` // name and address of each
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

// Summary returns the description as one line of text.
func (t Tested) Summary() string {
	what := "its own server"
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
		pair = "its own embedded pair"
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
