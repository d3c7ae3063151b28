package embedded

import (
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// procedure is one of the catalogue: what its T-SQL text in
// session/aspstate/schema says, in Go, statement for statement.
type procedure struct {
	name   string // without schema
	params []parameter
	run    func(t *transaction, a arguments) (*result, error)
	// readsFirst: most calls write nothing. They run beside the writer, and only the
	// one that would write is run again in it.
	readsFirst bool
	// chunk, instead of run, is a procedure of many statements that must not keep
	// others waiting: it is called again and again, each time as a write of its
	// own, until it says it is done. began is when the call began.
	chunk  func(t *transaction, began datetime) (done bool, err error)
	index  int     // in the catalogue, for the counters
	object string  // its key among the objects
	needs  []table // without which it fails
	// needKeys are their keys, and after them that of the extension's columns.
	needKeys []string
}

// result is what a call answers, collected while it runs and sent once its
// changes are durable.
type result struct {
	status  int32
	outputs []any // values of the parameters, by position; nil or short: none were set
	steps   []step
}

// step is one statement's part of the answer: a result set, a count, or an error
// after which the procedure went on.
type step struct {
	columns []tds.Column
	rows    [][]any
	count   int64 // rows changed; noCount under SET NOCOUNT ON
	err     *tds.Error
}

const noCount = -1

// counted is an answer that only says how many rows a statement changed.
func counted(n int64) *result { return &result{steps: []step{{count: n}}} }

// rowAnswer is an answer of one row, by a procedure that sets NOCOUNT.
func rowAnswer(columns []tds.Column, values ...any) *result {
	return &result{steps: []step{{columns: columns, rows: [][]any{values}, count: noCount}}}
}

// catalogue has all procedures, by name as they are usually written and in lower
// case.
var catalogue = makeCatalogue(stockProcedures, pairProcedures, sessionProcedures, storeProcedures, sweepProcedures, innerProcedures)

// The tables without which procedures fail, and the procedures that need none.
var (
	stockNeeds    = []table{tableSessions, tableApplications}
	extendedNeeds = []table{tableSessions, tableApplications, tableEpoch, tableTombstones, tableSweep, tableSettled}
	needNothing   = []string{"CreateTempTables", "GetMajorVersion", "TempGetVersion", "GetHashCode"}
)

// procedureList has each procedure once, in the order of index.
var procedureList []*procedure

func makeCatalogue(groups ...[]*procedure) map[string]*procedure {
	all := map[string]*procedure{}
	for i, group := range groups {
		for _, p := range group {
			switch {
			case i > 0:
				p.needs = extendedNeeds
				p.needKeys = append(p.needKeys, objectKey(kindColumns, tableSessions.String()))
			case !slices.Contains(needNothing, p.name):
				p.needs = stockNeeds
			}
			for i, t := range p.needs {
				p.needKeys = slices.Insert(p.needKeys, i, objectKey(kindTable, t.String()))
			}
			p.index, p.object = len(procedureList), objectKey(kindProcedure, p.name)
			procedureList = append(procedureList, p)
			all[p.name] = p
			all[strings.ToLower(p.name)] = p
		}
	}
	return all
}

// findProcedure finds a procedure by its bare name.
func findProcedure(name string) *procedure {
	if p := catalogue[name]; p != nil {
		return p
	}
	return catalogue[strings.ToLower(name)]
}

// expiry is DATEADD(minute, minutes, now), or the error of its overflow.
func expiry(now datetime, minutes int32) (datetime, error) {
	d := now.addMinutes(int64(minutes))
	if !d.inRange() {
		return d, &tds.Error{Number: 517, Class: 16,
			Message: "Adding a value to a 'datetime' column caused an overflow."}
	}
	return d, nil
}

// nullColumn is the error of a NULL for a column that takes none.
func nullColumn(column string, t table, verb string) *tds.Error {
	return &tds.Error{Number: 515, Class: 16, State: 2, Message: "Cannot insert the value NULL into column '" + column +
		"', table 'ASPState.dbo." + t.String() + "'; column does not allow nulls. " + verb + " fails."}
}

// duplicateKey is the error of a second row with the same primary key.
func duplicateKey(t table, key string) *tds.Error {
	return &tds.Error{Number: 2627, Class: 14, Message: "Violation of PRIMARY KEY constraint 'PK__" + t.String() +
		"'. Cannot insert duplicate key in object 'dbo." + t.String() + "'. The duplicate key value is (" + key + ")."}
}
