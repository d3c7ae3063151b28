package embedded

import (
	"fmt"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// standardDefinition is a definition of the schema that an embedded pair begins with.
type standardDefinition struct {
	st   *tsql.Definition
	text string // its batch
}

// standardDefinitions are all of them, in an order in which they can be made.
var standardDefinitions = sync.OnceValues(func() (all []standardDefinition, err error) {
	batches, err := schema.All()
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		list, err := tsql.Parse(b.Text)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", b.File, b.Line, err)
		}
		if all, err = addDefinitions(all, list, b.Text); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", b.File, b.Line, err)
		}
	}
	return all, nil
})

// addDefinitions adds what a batch defines where nothing is there yet. A procedure that makes the tables is one of those.
func addDefinitions(all []standardDefinition, list []tsql.Statement, text string) ([]standardDefinition, error) {
	for _, st := range list {
		switch st := st.(type) {
		case *tsql.If:
			var err error
			if all, err = addDefinitions(all, st.Then, text); err != nil {
				return nil, err
			}
		case *tsql.Definition:
			if st.Verb == "DROP" || st.Kind == "ROLE" {
				continue
			}
			all = append(all, standardDefinition{st, text})
			if st.Kind != "PROCEDURE" {
				continue
			}
			p, err := tsql.ParseProcedure(text, nil)
			if err != nil {
				return nil, err
			}
			for _, inner := range p.Body {
				if d, ok := inner.(*tsql.Definition); ok {
					all = append(all, standardDefinition{d, text})
				}
			}
		}
	}
	return all, nil
}

// makeStandard makes the standard schema in a database that nobody knows of yet.
func (s *store) makeStandard() error {
	all, err := standardDefinitions()
	if err != nil {
		return err
	}
	w := s.main
	if err := w.inTransaction(func() error {
		c, err := openCatalogue(w, nil)
		if err != nil {
			return err
		}
		for _, d := range all {
			if c.hasColumns(d.st) {
				continue // for an installation of an earlier version
			}
			if err := c.object(d.st, d.text); err != nil {
				return fmt.Errorf("line %d of %.60q: %w", d.st.Line(), d.text, err)
			}
		}
		return w.script(firstEpoch + firstSweep)
	}); err != nil {
		return fmt.Errorf("make the schema in %s: %w", s.path, err)
	}
	w.ends()
	s.version.Add(1)
	return s.refresh()
}

// hasColumns tells whether ALTER TABLE … ADD adds columns that are there.
func (c *catalogueWriter) hasColumns(st *tsql.Definition) bool {
	if st.Kind != "TABLE" || st.Action != "ADD" || st.Table == nil || len(st.Table.Columns) == 0 {
		return false
	}
	t := c.set.table(st.Name.Object)
	return t != nil && t.Column(st.Table.Columns[0].Name) != nil
}
