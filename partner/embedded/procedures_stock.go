package embedded

import (
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// VersionText is @@VERSION of an embedded partner.
const VersionText = "Microsoft SQL Server 2019 (RTM) - 15.0.2000.5 (mirrorstate embedded pair)"

const majorVersion = 15 // of VersionText, as GetMajorVersion reads it

// Parameters of the stock procedures.
var (
	paramID         = parameter{name: "@id", typ: tds.NVarChar(88), key: true}
	paramShort      = parameter{name: "@itemShort", typ: tds.VarBinary(7000)}
	paramLong       = parameter{name: "@itemLong", typ: tds.Image}
	paramTimeout    = parameter{name: "@timeout", typ: tds.Int}
	paramLockCookie = parameter{name: "@lockCookie", typ: tds.Int}
)

func out(p parameter) parameter {
	p.output = true
	return p
}

// getParams are those of the six read procedures: one of them differs with the
// generation, and the third has one more.
func getParams(third parameter, flags bool) []parameter {
	list := []parameter{paramID, out(paramShort), {name: "@locked", typ: tds.Bit, output: true}, third, out(paramLockCookie)}
	if flags {
		list = append(list, parameter{name: "@actionFlags", typ: tds.Int, output: true})
	}
	return list
}

var (
	outLockAge  = parameter{name: "@lockAge", typ: tds.Int, output: true}
	outLockDate = parameter{name: "@lockDate", typ: tds.DateTime, output: true}
)

// stockProcedures are those of 10-stock.sql. None sets NOCOUNT but
// DeleteExpiredSessions, so that each statement tells its count.
var stockProcedures = []*procedure{
	{name: "CreateTempTables", run: createTempTables},
	{name: "GetMajorVersion", params: []parameter{{name: "@@ver", typ: tds.Int, output: true}},
		readsFirst: true, run: answerOutputs(int64(majorVersion))},
	{name: "TempGetVersion", params: []parameter{{name: "@ver", typ: tds.Char(10), output: true}},
		readsFirst: true, run: answerOutputs("2         ")},
	{name: "GetHashCode", params: []parameter{{name: "@input", typ: tds.VarChar(280)}, {name: "@hash", typ: tds.Int, output: true}},
		readsFirst: true, run: getHashCode},
	{name: "TempGetAppID", params: []parameter{{name: "@appName", typ: tds.VarChar(280)}, {name: "@appId", typ: tds.Int, output: true}},
		readsFirst: true, run: tempGetAppID},
	{name: "DeleteExpiredSessions", chunk: deleteExpiredChunk},

	{name: "TempGetStateItem", params: getParams(outLockDate, false), run: getItem{byDate: true}.run},
	{name: "TempGetStateItem2", params: getParams(outLockAge, false), run: getItem{}.run},
	{name: "TempGetStateItem3", params: getParams(outLockAge, true), run: getItem{flags: true}.run},
	{name: "TempGetStateItemExclusive", params: getParams(outLockDate, false), run: getItem{byDate: true, exclusive: true}.run},
	{name: "TempGetStateItemExclusive2", params: getParams(outLockAge, false), run: getItem{exclusive: true}.run},
	{name: "TempGetStateItemExclusive3", params: getParams(outLockAge, true), run: getItem{flags: true, exclusive: true}.run},

	{name: "TempInsertUninitializedItem", params: []parameter{paramID, paramShort, paramTimeout}, run: insertItem{flags: 1}.run},
	{name: "TempInsertStateItemShort", params: []parameter{paramID, paramShort, paramTimeout}, run: insertItem{}.run},
	{name: "TempInsertStateItemLong", params: []parameter{paramID, paramLong, paramTimeout}, run: insertItem{long: true}.run},

	{name: "TempUpdateStateItemShort", params: []parameter{paramID, paramShort, paramTimeout, paramLockCookie},
		run: updateItem{}.run},
	{name: "TempUpdateStateItemShortNullLong", params: []parameter{paramID, paramShort, paramTimeout, paramLockCookie},
		run: updateItem{nullOther: true}.run},
	{name: "TempUpdateStateItemLong", params: []parameter{paramID, paramLong, paramTimeout, paramLockCookie},
		run: updateItem{long: true}.run},
	{name: "TempUpdateStateItemLongNullShort", params: []parameter{paramID, paramLong, paramTimeout, paramLockCookie},
		run: updateItem{long: true, nullOther: true}.run},
	{name: "TempReleaseStateItemExclusive", params: []parameter{paramID, paramLockCookie}, run: releaseItem},
	{name: "TempRemoveStateItem", params: []parameter{paramID, paramLockCookie}, run: removeItem},
	{name: "TempResetTimeout", params: []parameter{paramID}, run: resetTimeout},
}

func createTempTables(t *transaction, _ arguments) (*result, error) {
	rows, err := t.from.objectRows()
	if err != nil {
		return nil, err
	}
	set := newObjectSet(rows)
	for _, o := range stockTables {
		if r, changed := t.seen(tableObjects, o.key()); r != nil || !changed && set[o.key()] != nil {
			return nil, &tds.Error{Number: 2714, Class: 16, State: 6,
				Message: "There is already an object named '" + o.name + "' in the database."}
		}
		t.put(o)
	}
	return &result{}, nil
}

// answerOutputs is a procedure that only sets its output.
func answerOutputs(values ...any) func(*transaction, arguments) (*result, error) {
	return func(*transaction, arguments) (*result, error) { return &result{outputs: values}, nil }
}

func getHashCode(_ *transaction, a arguments) (*result, error) {
	return &result{outputs: []any{nil, hashCode(a[0].s)}}, nil
}

// hashCode is h = h*33 XOR byte over the name's bytes, modulo 2^32, from 5381. A
// character beyond ASCII counts as in code page 1252 where that is Latin 1.
func hashCode(name string) int32 {
	h := uint32(5381)
	for _, r := range name {
		if r > 0xFF {
			r = '?'
		}
		h = h*33 ^ uint32(r)
	}
	return int32(h)
}

func tempGetAppID(t *transaction, a arguments) (*result, error) {
	id, steps, err := appID(t, a[0])
	return &result{outputs: []any{nil, id}, steps: steps}, err
}

// appID finds the application, or registers it under the hash of its name. Another
// application of that id makes an error, after which the text goes on.
func appID(t *transaction, name argument) (id any, steps []step, err error) {
	if !name.ok {
		steps = append(steps, step{err: nullColumn("AppId", tableApplications, "INSERT")})
		return nil, steps, nil
	}
	lower := trimBlanks(strings.ToLower(name.s))
	found, err := t.applicationNamed(lower)
	if err != nil {
		return nil, nil, err
	}
	if found != nil {
		return found.id, nil, nil
	}
	hash := hashCode(strings.ToLower(name.s))
	other, err := t.application(hash)
	if err != nil {
		return nil, nil, err
	}
	if other == nil {
		t.put(&applicationRow{id: hash, name: lower})
		return hash, []step{{count: 1}}, nil
	}
	if foldKey(other.name) == foldKey(lower) {
		return hash, nil, nil // registered between our two looks, which the text's TABLOCKX keeps from happening
	}
	collision := &tds.Error{Number: 50000, Class: 18, Proc: "TempGetAppID", Message: `SQL session state fatal error: hash-code collision between applications. Please rename the application "` +
		lower + `" to resolve the problem.`}
	return hash, []step{{err: duplicateKey(tableApplications, fmt.Sprint(hash))}, {err: collision}}, nil
}

// expiredChunk is how many sessions one write removes.
const expiredChunk = 50

func deleteExpiredChunk(t *transaction, began datetime) (done bool, err error) {
	ids, err := t.from.expiredBefore(began, expiredChunk)
	if err != nil {
		return true, err
	}
	for _, id := range ids {
		s, err := t.session(argument{ok: true, s: id})
		if err != nil {
			return true, err
		}
		// The second look spares a session that was renewed meanwhile.
		if s != nil && s.expires < began {
			t.remove(s)
		}
	}
	return len(ids) < expiredChunk, nil
}

// getItem is the six read procedures. No read looks at Expires, every read renews
// it, and a locked row answers without its item.
type getItem struct{ byDate, flags, exclusive bool }

func (g getItem) run(t *transaction, a arguments) (*result, error) {
	old, err := t.session(a[0])
	if err != nil || old == nil {
		return counted(0), err
	}
	s := *old
	if s.expires, err = expiry(t.now, s.timeout); err != nil {
		return nil, err
	}
	lockDate, lockAge := s.lockDateLocal, s.lockDate.secondsUntil(t.now)
	if g.exclusive && !old.locked {
		s.lockDate, s.lockDateLocal = t.now, localNow()
		s.lockCookie++
		s.locked = true
		lockDate, lockAge = s.lockDateLocal, 0
	}
	if g.flags {
		s.flags &^= 1
	}
	t.put(&s)

	r := counted(1)
	r.outputs = []any{nil, nil, old.locked, lockAge, s.lockCookie}
	if g.byDate {
		r.outputs[3] = lockDate.value()
	}
	if g.flags {
		r.outputs = append(r.outputs, old.flags&1)
	}
	if old.locked {
		return r, nil
	}
	if s.short != nil {
		r.outputs[1] = s.short
	}
	if s.long != nil {
		r.steps = append(r.steps, step{columns: longColumns, rows: [][]any{{s.long}}, count: 1})
	}
	return r, nil
}

var longColumns = []tds.Column{{Name: "SessionItemLong", Type: tds.Image}}

// insertItem is the three insert procedures.
type insertItem struct {
	long  bool
	flags int32
}

func (i insertItem) run(t *transaction, a arguments) (*result, error) {
	id, item, timeout := a[0], a[1], a[2]
	if !id.ok {
		return failed(nullColumn("SessionId", tableSessions, "INSERT")), nil
	}
	if !timeout.ok {
		return failed(nullColumn("Expires", tableSessions, "INSERT")), nil
	}
	expires, err := expiry(t.now, timeout.int32())
	if err != nil {
		return nil, err
	}
	there, err := t.session(id)
	if err != nil {
		return nil, err
	}
	if there != nil {
		return failed(duplicateKey(tableSessions, id.s)), nil
	}
	s := newSessionRow(id.s, t.now, expires, timeout.int32())
	s.flags = i.flags
	if i.long {
		s.long = item.blob()
	} else {
		s.short = item.blob()
	}
	t.put(s)
	return counted(1), nil
}

// failed is a statement's error that ends the statement and not the procedure.
func failed(err *tds.Error) *result { return &result{steps: []step{{err: err}}} }

// newSessionRow is a row as an insert makes it: unlocked, with lock cookie 1.
func newSessionRow(id string, now, expires datetime, timeout int32) *sessionRow {
	s := &sessionRow{id: id, created: now, expires: expires, lockDate: now, lockDateLocal: localNow(),
		lockCookie: 1, timeout: timeout, forgotten: noDate2, timeoutDate: noDate2}
	for i := range s.opDates {
		s.opDates[i] = noDate2
	}
	return s
}

// updateItem is the four update procedures. They test the cookie and not the lock.
type updateItem struct{ long, nullOther bool }

func (u updateItem) run(t *transaction, a arguments) (*result, error) {
	item, timeout := a[1], a[2]
	old, err := holding(t, a[0], a[3])
	if err != nil || old == nil {
		return counted(0), err
	}
	if !timeout.ok {
		return failed(nullColumn("Expires", tableSessions, "UPDATE")), nil
	}
	s := *old
	if s.expires, err = expiry(t.now, timeout.int32()); err != nil {
		return nil, err
	}
	s.timeout, s.locked = timeout.int32(), false
	mine, other := &s.short, &s.long
	if u.long {
		mine, other = other, mine
	}
	*mine = item.blob()
	if u.nullOther {
		*other = nil
	}
	t.put(&s)
	return counted(1), nil
}

// holding finds the session with that lock cookie, locked or not; nil if there is none.
func holding(t *transaction, id, cookie argument) (*sessionRow, error) {
	s, err := t.session(id)
	if s == nil || !cookie.is(int64(s.lockCookie)) {
		return nil, err
	}
	return s, err
}

func releaseItem(t *transaction, a arguments) (*result, error) {
	old, err := holding(t, a[0], a[1])
	if err != nil || old == nil {
		return counted(0), err
	}
	s := *old
	s.locked = false
	if s.expires, err = expiry(t.now, s.timeout); err != nil {
		return nil, err
	}
	t.put(&s)
	return counted(1), nil
}

func removeItem(t *transaction, a arguments) (*result, error) {
	old, err := holding(t, a[0], a[1])
	if err != nil || old == nil {
		return counted(0), err
	}
	t.remove(old)
	return counted(1), nil
}

func resetTimeout(t *transaction, a arguments) (*result, error) {
	old, err := t.session(a[0])
	if err != nil || old == nil {
		return counted(0), err
	}
	s := *old
	if s.expires, err = expiry(t.now, s.timeout); err != nil {
		return nil, err
	}
	t.put(&s)
	return counted(1), nil
}
