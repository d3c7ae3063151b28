package server

import "github.com/mirrorstate/mirrorstate/partner/embedded/tsql"

// takesLong reports whether a procedure may have very many statements, each a transaction of its own: it goes through a
// cursor, or writes in a loop, and never begins a transaction.
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

// eachStatement visits statements, and those within them.
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
