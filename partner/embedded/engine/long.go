package engine

import "github.com/mirrorstate/mirrorstate/partner/embedded/tsql"

// isLong reports whether a procedure may run very many statements, each in its own transaction: it opens a cursor, or
// writes in a loop, and never begins a transaction.
func isLong(list []tsql.Statement) bool {
	loops, begins := false, false
	eachStatement(list, func(st tsql.Statement, inLoop bool) {
		switch st := st.(type) {
		case *tsql.DeclareCursor:
			loops = true
		case *tsql.Query:
			loops = loops || inLoop && st.Kind != tsql.Select
		case *tsql.Transaction:
			begins = begins || st.Action == tsql.BeginTransaction
		}
	}, false)
	return loops && !begins
}

// eachStatement calls visit with each statement, including nested ones.
func eachStatement(list []tsql.Statement, visit func(st tsql.Statement, inLoop bool), inLoop bool) {
	for _, st := range list {
		visit(st, inLoop)
		switch st := st.(type) {
		case *tsql.If:
			eachStatement(st.Then, visit, inLoop)
			eachStatement(st.Else, visit, inLoop)
		case *tsql.While:
			eachStatement(st.Body, visit, true)
		case *tsql.Try:
			eachStatement(st.Body, visit, inLoop)
			eachStatement(st.Catch, visit, inLoop)
		}
	}
}
