package embedded

import (
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// findNeeds collects which tables the statements need, and those of the procedures that they call.
func (c *catalogue) findNeeds(p *procedure, list []tsql.Statement, called map[*procedure]bool) {
	for _, st := range list {
		var exprs []*tsql.Expr
		switch st := st.(type) {
		case *tsql.Query:
			p.need(st.Tables)
		case *tsql.DeclareCursor:
			p.need(st.Query.Tables)
		case *tsql.Assign:
			exprs = append(exprs, &st.Value)
		case *tsql.If:
			exprs = append(exprs, &st.Condition)
			c.findNeeds(p, st.Then, called)
			c.findNeeds(p, st.Else, called)
		case *tsql.While:
			exprs = append(exprs, &st.Condition)
			c.findNeeds(p, st.Body, called)
		case *tsql.Try:
			c.findNeeds(p, st.Body, called)
			c.findNeeds(p, st.Catch, called)
		case *tsql.Exec:
			if q := c.byName[strings.ToLower(st.Procedure.Object)]; q != nil && !called[q] {
				called[q] = true
				c.findNeeds(p, q.text.Body, called)
			}
		}
		for _, e := range exprs {
			p.need(e.Tables)
		}
	}
}

// need notes the tables of the database among those that are named.
func (p *procedure) need(names []tsql.Name) {
	for _, n := range names {
		key := objectKey(kindTable, n.Table())
		if !n.System() && !strings.HasPrefix(n.Object, "@") && !strings.HasPrefix(n.Object, "#") && !slices.Contains(p.needs, key) {
			p.needs = append(p.needs, key)
		}
	}
}
