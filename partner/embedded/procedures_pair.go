package embedded

import (
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// pairProcedures are those of 30-extension-pair.sql.
var pairProcedures = []*procedure{
	{name: "MirrorState_TakeEpoch_1", params: []parameter{{name: "@server", typ: tds.NVarChar(256)}},
		readsFirst: true, run: takeEpoch},
	{name: "MirrorState_RaiseEpoch_1", params: []parameter{{name: "@server", typ: tds.NVarChar(256)}, {name: "@above", typ: tds.BigInt}},
		readsFirst: true, run: raiseEpoch},
	{name: "MirrorState_FleetSecret_1", params: []parameter{paramEpoch, {name: "@proposal", typ: tds.Binary(32)}},
		readsFirst: true, run: fleetSecret},
	{name: "MirrorState_GetAppId_1", params: []parameter{{name: "@appName", typ: tds.VarChar(280)}, paramEpoch, {name: "@register", typ: tds.Bit}},
		readsFirst: true, run: getAppID},
}

var (
	epochColumns  = []tds.Column{{Name: "Epoch", Type: tds.BigInt}, {Name: "Server", Type: tds.NVarChar(256)}}
	secretColumns = []tds.Column{{Name: "Result", Type: tds.Int}, {Name: "FleetSecret", Type: tds.Binary(32)}}
	appIDColumns  = []tds.Column{{Name: "Result", Type: tds.Int}, {Name: "AppId", Type: tds.Int}}
)

// noRow is a result set without rows: the epoch row is not there.
func noRow(columns []tds.Column) *result {
	return &result{steps: []step{{columns: columns, count: noCount}}}
}

func takeEpoch(t *transaction, a arguments) (*result, error) {
	e := t.epochRow()
	if e == nil {
		return noRow(epochColumns), nil
	}
	if server := a[0]; server.ok && foldKey(trimBlanks(server.s)) != foldKey(trimBlanks(e.server)) {
		next := *e
		next.epoch++
		next.server = server.s
		t.put(&next)
		e = &next
	}
	return rowAnswer(epochColumns, e.epoch, e.server), nil
}

// raiseEpoch is takeEpoch against another claim: the new epoch is above both the
// row's and the caller's. A NULL server violates the table, as in SQL Server.
func raiseEpoch(t *transaction, a arguments) (*result, error) {
	server, above := a[0], a[1]
	e := t.epochRow()
	if e == nil {
		return noRow(epochColumns), nil
	}
	switch {
	case !server.ok:
		return nil, nullColumn("Server", tableEpoch, "UPDATE")
	case !above.ok:
		return nil, nullColumn("Epoch", tableEpoch, "UPDATE")
	}
	next := *e
	next.epoch = e.epoch + 1
	if above.n >= e.epoch {
		next.epoch = above.n + 1
	}
	next.server = server.s
	t.put(&next)
	return rowAnswer(epochColumns, next.epoch, next.server), nil
}

func fleetSecret(t *transaction, a arguments) (*result, error) {
	epoch, proposal := a[0], a[1]
	e := t.epochRow()
	if e == nil {
		return noRow(secretColumns), nil
	}
	mine := epoch.is(e.epoch)
	if mine && e.secret == nil && proposal.ok {
		next := *e
		next.secret = []byte(proposal.s)
		t.put(&next)
		e = &next
	}
	outcome := int64(0)
	if !mine {
		outcome = resultMoved
	}
	return rowAnswer(secretColumns, outcome, nilIfNull(e.secret)), nil
}

// nilIfNull keeps a nil slice from being a value.
func nilIfNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func getAppID(t *transaction, a arguments) (*result, error) {
	name, epoch, register := a[0], a[1], a[2]
	if e := t.epochRow(); e == nil || !epoch.is(e.epoch) {
		return rowAnswer(appIDColumns, int64(resultMoved), nil), nil
	}
	if register.is(1) {
		id, steps, err := appID(t, name)
		if err != nil {
			return nil, err
		}
		r := rowAnswer(appIDColumns, int64(resultDone), id)
		for _, s := range steps {
			if s.err != nil { // errors are told whatever NOCOUNT says
				r.steps = append([]step{s}, r.steps...)
			}
		}
		return r, nil
	}
	found, err := t.applicationNamed(name.s)
	if err != nil {
		return nil, err
	}
	if found == nil || !name.ok {
		return rowAnswer(appIDColumns, int64(resultDone), nil), nil
	}
	return rowAnswer(appIDColumns, int64(resultDone), found.id), nil
}
