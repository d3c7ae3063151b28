package install

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Installed is the result of an Installation.
type Installed struct {
	Database string   `json:"database"`
	Partner  string   `json:"partner,omitempty"` // a or b
	Address  string   `json:"address,omitempty"`
	Server   string   `json:"server,omitempty"`  // @@SERVERNAME
	Version  string   `json:"version,omitempty"` // ProductVersion
	Mirrored bool     `json:"mirrored"`
	Before   string   `json:"before"` // nothing, empty, stock, partial or extended
	After    string   `json:"after,omitempty"`
	Changed  bool     `json:"changed"`
	Steps    []string `json:"steps"` // that ran, or would run
	Script   string   `json:"script,omitempty"`
}

// setSteps records the steps of a script.
func (r *Installed) setSteps(script aspstate.Script) {
	r.Steps = []string{}
	for _, step := range script.Steps {
		r.Steps = append(r.Steps, step.Title)
	}
	r.Changed = !script.Empty()
}

// printScript prints the script of a dry run.
func (in *Installation) printScript(r Installed, script aspstate.Script, head []string) error {
	head = append([]string{fmt.Sprintf("mirrorstate %s, dry run: database %s. Nothing was sent.", in.Verb, r.Database)}, head...)
	if script.Empty() {
		head = append(head, "There is nothing to do.")
	} else {
		head = append(head, "To run it yourself, as a member of db_owner (dbcreator to create a database): sqlcmd -I -S principal -i file")
	}
	var text strings.Builder
	if err := script.WriteScript(&text, head...); err != nil {
		return err
	}
	if in.AsJSON {
		r.setSteps(script)
		r.Changed, r.Script = false, text.String()
		return in.encode(r)
	}
	_, err := io.WriteString(in.Out, text.String())
	return err
}

func (in *Installation) encode(r Installed) error {
	enc := json.NewEncoder(in.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// print prints the result.
func (in *Installation) print(r Installed) error {
	if in.AsJSON {
		return in.encode(r)
	}
	if !r.Changed {
		_, err := fmt.Fprintf(in.Out, "%s on partner %s (%s, %s) is %s: nothing to do\n", r.Database, r.Partner, r.Address, r.Server, r.Before)
		return err
	}
	fmt.Fprintf(in.Out, "%s on partner %s (%s, %s): %s before, %s now\n", r.Database, r.Partner, r.Address, r.Server, r.Before, r.After)
	for _, step := range r.Steps {
		fmt.Fprintf(in.Out, "  done: %s\n", step)
	}
	if !r.Mirrored && in.Verb == "install" {
		fmt.Fprintln(in.Out, "  it is not mirrored yet, as far as this login can see")
	}
	return nil
}
