package engine

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// noColumn is the error number for a column that does not exist.
const noColumn = 207

// resolve finds the first column in a procedure's queries that its table does not have. Tables that do not exist may be
// created later: the columns of such a table are checked when the query runs. Source: the manual's CREATE PROCEDURE, on
// deferred name resolution.
func (c *catalogueWriter) resolve(p *procedure) error {
	var wrong *tds.Error
	eachStatement(p.text.Body, func(st tsql.Statement, _ bool) {
		q, ok := st.(*tsql.Query)
		if !ok || wrong != nil {
			return
		}
		prepared, err := c.w.Prepare(q.SQL)
		if err == nil {
			err = prepared.Close()
		}
		if e := tsql.FromSQLite(err); e != nil && e.Number == noColumn {
			wrong = sqlerror.FromTSQL(e)
			wrong.Proc, wrong.Line = p.name, int32(st.Line())
		}
	}, false)
	if wrong == nil {
		return nil
	}
	return wrong
}
