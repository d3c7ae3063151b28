package engine

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// values are a call's arguments, or a row's columns, by name. Its special types are ago for dates, and op for operation
// ids.
type values map[string]any

// ago is a date that long before the call; op is an operation id, different in each scene.
type (
	ago time.Duration
	op  string
)

// scene is a call, and the state before it.
type scene struct {
	name            string
	verb            string
	args            values // in addition to those of the verb
	row             values // in addition to those of the verb; nobody: there is no row
	settled         []settled
	removed         []tombstone
	want            int64
	done            bool          // the call changes the row
	after           values        // the columns after that
	left            time.Duration // the session then expires that long after the call; 0: not checked
	tells           map[int]any   // columns of the result
	enters          map[op]int64  // recorded answers of the operation's calls after the call, including those of settled; nil: not checked
	writesTombstone values        // columns of the tombstone that the call writes
}

// recent is the date of the call, in after.
type recent struct{}

// Columns of a result.
const (
	tellsCookie  = 1
	tellsTimeout = 3
	tellsFlags   = 8
	tellsItem    = 9
)

// settled is a recorded answer.
type settled struct {
	op, call op
	at       ago
	result   int64
}

// tombstone is a removed session of this id.
type tombstone struct {
	at, created ago
	ring        []op
	forgotten   any
	by          op // operation of the removal; "": any
}

// nobody is the row of a session that does not exist.
var nobody = values{"": nil}

// free is a session created an hour ago that is not locked. held is a session that the caller has locked. over is a
// session that has expired.
var (
	free = values{"Created": ago(time.Hour), "Expires": ago(-5 * time.Minute), "LockDate": ago(time.Minute), "LockDateLocal": ago(time.Minute), "LockCookie": int64(2),
		"Timeout": int64(20), "TimeoutSeconds": nil, "TimeoutDate": nil, "Locked": int64(0), "Flags": int64(0), "LockOperationId": nil,
		"LockOperationCookie": nil, "LockActionFlags": nil, "LockCallId": nil, "OperationId1": op("made"), "OperationDate1": ago(time.Hour),
		"OperationsForgotten": nil, "Settled": nil, "MadeOperationId": op("made")}
	held = with(free, values{"Locked": int64(1), "LockOperationId": op("lock"), "LockOperationCookie": int64(2), "LockCallId": op("grant"),
		"LockActionFlags": int64(0), "OperationId1": op("lock"), "OperationId2": op("made"), "OperationDate2": ago(time.Hour)})
	over = with(free, values{"Created": ago(2 * time.Hour), "Expires": ago(time.Minute)})
)

// verbs are the procedures, each with its arguments and the row on which it runs.
var verbs = map[string]struct {
	procedure string
	args, row values
}{
	"read":               {"Get", values{"@renew": int64(1)}, free},
	"touch":              {"Touch", nil, free},
	"set the timeout":    {"Touch", values{"@timeout": int64(30)}, free},
	"acquire":            {"Acquire", nil, free},
	"create and lock":    {"Acquire", values{"@create": int64(1)}, nobody},
	"re-create and lock": {"Acquire", values{"@create": int64(1)}, over},
	"update":             {"Update", values{"@lockOp": op("lock"), "@lockCookie": int64(2)}, held},
	"release":            {"Release", values{"@lockOp": op("lock"), "@lockCookie": int64(2)}, held},
	"give back":          {"GiveBack", values{"@op": op("lock"), "@call": op("grant"), "@instead": op("instead")}, held},
	"store":              {"Store", nil, free},
	"re-create":          {"Store", nil, over},
	"create":             {"Store", nil, nobody},
	"remove":             {"Remove", nil, free},
	"remove as holder":   {"Remove", values{"@lockOp": op("lock"), "@lockCookie": int64(2)}, held},
}

// with returns a with the values of b added or replaced.
func with(a, b values) values {
	all := values{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// play runs a scene on a new session.
func (s scene) play(t *testing.T, p *Partner) {
	t.Helper()
	now, n := time.Now(), operationNumber.Add(1)
	id, verb := fmt.Sprint("scene", n), verbs[s.verb]
	value := func(v any, date func(time.Time) any) any {
		switch v := v.(type) {
		case ago:
			return date(now.Add(-time.Duration(v)))
		case op:
			return fmt.Appendf(nil, "%-8s%08d", v, n)
		}
		return v
	}
	stored := func(column string, v any) driver.Value {
		return value(v, func(at time.Time) any {
			if slices.Contains([]string{"Created", "Expires", "LockDate", "LockDateLocal"}, column) {
				return sqlvalue.DatetimeOf(at).Text()
			}
			return sqlvalue.Datetime2Of(at).Text()
		})
	}
	s.plant(t, p, id, stored)
	before := rowOf(t, p, id)

	args := with(values{"@id": id, "@epoch": int64(0), "@notAfter": ago(-time.Hour), "@op": op("op"), "@sent": ago(0), "@lockTimeout": int64(110),
		"@defaultTimeout": int64(20), "@itemShort": []byte("new")}, with(verb.args, s.args))
	name := "MirrorState_" + verb.procedure + "_1"
	byName := map[string]any{} // in the spelling of the parameters' names
	for n, v := range args {
		byName[strings.ToLower(n)] = value(v, func(at time.Time) any { return at })
	}
	var list []sqlvalue.Argument
	for _, q := range findProcedure(t, p, name).params {
		a := q.value
		if v, ok := byName[q.name]; ok {
			var err error
			if a, err = sqlvalue.Convert(v, "a test's", q.typ); err != nil {
				t.Fatal(q.name, err)
			}
		}
		list = append(list, a)
	}
	row := do(t, p, name, list...)
	expect(t, "the call", row, s.want)
	for i, want := range s.tells {
		if got, ok := row[i].([]byte); ok {
			row[i] = string(got)
		}
		if row[i] != want {
			t.Errorf("column %d of the answer is %v, want %v", i, row[i], want)
		}
	}
	after := rowOf(t, p, id)
	if changed := !maps.Equal(before, after); changed != s.done {
		t.Errorf("the row was changed: %v, want %v; it was %v", changed, s.done, before)
	}
	s.compare(t, after, s.after, stored)
	if s.left != 0 {
		from, to := stored("Expires", ago(-s.left)), stored("Expires", ago(-s.left-10*time.Second))
		if got := after["Expires"]; got < from.(string) || got > to.(string) {
			t.Errorf("it expires %s, want %s", got, from)
		}
	}
	if s.enters != nil {
		call, _ := args["@call"].(op)
		s.compareEntries(t, p, args["@op"].(op), call, stored)
	}
	if s.writesTombstone != nil {
		o := stored("", args["@op"])
		s.compare(t, selected(t, p, "MirrorStateTombstones", slices.Sorted(maps.Keys(s.writesTombstone)), "SessionId = ?1 AND OperationId = ?2", id, o), s.writesTombstone, stored)
	}
}

// compare checks the values of columns.
func (s scene) compare(t *testing.T, row map[string]string, want values, stored func(column string, v any) driver.Value) {
	t.Helper()
	for column, v := range want {
		got := row[column]
		switch v := v.(type) {
		case nil:
			if got != "NULL" {
				t.Errorf("%s is %s, want NULL", column, got)
			}
		case recent:
			if from := stored(column, ago(time.Second)).(string); got < from || got == "NULL" {
				t.Errorf("%s is %s, want a date after %s", column, got, from)
			}
		default:
			if want := shown(stored(column, v)); got != want {
				t.Errorf("%s is %s, want %s", column, got, want)
			}
		}
	}
}

// compareEntries checks the recorded answers of the operation: the earlier ones with their old dates, and the others
// with the date of the call.
func (s scene) compareEntries(t *testing.T, p *Partner, o, own op, stored func(column string, v any) driver.Value) {
	t.Helper()
	calls := map[op]bool{own: true}
	for _, e := range s.settled {
		calls[e.call] = true
	}
	for call := range s.enters {
		calls[call] = true
	}
	for call := range calls {
		row := selected(t, p, "MirrorStateSettled", []string{"Result", "Settled"}, "OperationId = ?1 AND CallId = ?2", stored("", o), stored("", call))
		result, entered := s.enters[call]
		if !entered {
			if len(row) > 0 {
				t.Errorf("the call %q was answered %v, want nothing", call, row)
			}
			continue
		}
		want := values{"Result": result, "Settled": recent{}}
		for _, e := range s.settled {
			if e.call == call && e.result == result {
				want["Settled"] = e.at
			}
		}
		s.compare(t, row, want, stored)
		if len(row) == 0 {
			t.Errorf("the call %q was not entered as answered %d", call, result)
		}
	}
}

// plant writes the rows of the scene.
func (s scene) plant(t *testing.T, p *Partner, id string, stored func(column string, v any) driver.Value) {
	t.Helper()
	type statement struct {
		text string
		args []driver.Value
	}
	var all []statement
	insert := func(table string, row values) {
		var columns, marks []string
		var list []driver.Value
		for _, column := range slices.Sorted(maps.Keys(row)) {
			columns, marks, list = append(columns, column), append(marks, "?"), append(list, stored(column, row[column]))
		}
		all = append(all, statement{"INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")", list})
	}
	row := with(verbs[s.verb].row, s.row)
	if _, none := row[""]; !none {
		insert("ASPStateTempSessions", with(row, values{"SessionId": id, "SessionItemShort": []byte("item")}))
	}
	for _, e := range s.settled {
		insert("MirrorStateSettled", values{"OperationId": e.op, "CallId": e.call, "Settled": e.at, "Result": e.result})
	}
	for i, e := range s.removed {
		tomb := values{"SessionId": id, "OperationId": op(fmt.Sprint("removal", i)), "Removed": e.at, "Created": e.created, "OperationsForgotten": e.forgotten}
		if e.by != "" {
			tomb["OperationId"] = e.by
		}
		for i, o := range e.ring {
			if o != "" {
				tomb[fmt.Sprint("OperationId", i+1)] = o
			}
		}
		insert("MirrorStateTombstones", tomb)
	}
	err := p.Main().Write(context.Background(), func(w *storage.Writer) error { // all in one commit
		for _, one := range all {
			st, err := w.Query(one.text)
			if err == nil {
				_, err = st.Exec(one.args...)
			}
			if err != nil {
				return w.CheckTransaction(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rowOf returns the columns of a session's row as text, without the one about settled answers; none if there is no row.
func rowOf(t *testing.T, p *Partner, id string) map[string]string {
	t.Helper()
	columns := []string{"Created", "Expires", "LockDate", "LockCookie", "Timeout", "TimeoutSeconds", "TimeoutDate", "Locked", "Flags", "SessionItemShort", "SessionItemLong",
		"LockOperationId", "LockOperationCookie", "LockActionFlags", "LockCallId", "OperationId1", "OperationId2", "OperationId3", "OperationId4",
		"OperationDate1", "OperationDate2", "OperationDate3", "OperationDate4", "OperationsForgotten", "MadeOperationId"}
	return selected(t, p, "ASPStateTempSessions", columns, "SessionId = ?1", id)
}

// selected returns columns of one row of a table as text; none if there is no row.
func selected(t *testing.T, p *Partner, table string, columns []string, where string, args ...driver.Value) map[string]string {
	t.Helper()
	row := map[string]string{}
	err := p.Main().Store.Read(func(r *storage.Reader) error {
		st, err := r.Query("SELECT +" + strings.Join(columns, ", +") + " FROM " + table + " WHERE " + where)
		if err != nil {
			return err
		}
		v := make([]driver.Value, len(columns))
		if there, err := st.Row(v, args...); err != nil || !there {
			return err
		}
		for i, column := range columns {
			row[column] = shown(v[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// shown returns a value of a row as text.
func shown(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		return fmt.Sprintf("%X", v)
	}
	return fmt.Sprint(v)
}

// playAll runs scenes on one pair.
func playAll(t *testing.T, scenes []scene) {
	p := openPair(t).Partner("a")
	for _, s := range scenes {
		t.Run(s.verb+": "+s.name, func(t *testing.T) { s.play(t, p) })
	}
}

// writers are the verbs with an operation id.
var writers = []string{"acquire", "create and lock", "re-create and lock", "update", "release", "store", "re-create", "create", "remove", "remove as holder"}

// once returns a scene for each verb, on the fast path (@resent 0) and on the careful one. Its want is that of the verb
// in wants, if there is one.
func once(s scene, verbs []string, wants map[string]int64) (all []scene) {
	for _, verb := range verbs {
		for resent := range int64(2) {
			one := s
			one.verb, one.name = verb, fmt.Sprintf("%s, resent %d", s.name, resent)
			one.args = with(values{"@resent": resent}, s.args)
			if want, ok := wants[verb]; ok {
				one.want = want
			}
			all = append(all, one)
		}
	}
	return all
}
