package engine

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// openPair opens a pair that serves no clients.
func openPair(t testing.TB) *Pair {
	t.Helper()
	pair, err := Open(mirror.Options{Schema: schema.Script(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Errorf("close the pair: %v", err)
		}
	})
	return pair
}

// text, number, moment and id return arguments.
func text(s string) sqlvalue.Argument    { return sqlvalue.Argument{Ok: true, S: s} }
func number64(n int64) sqlvalue.Argument { return sqlvalue.Argument{Ok: true, N: n} }
func moment(t time.Time) sqlvalue.Argument {
	return sqlvalue.Argument{Ok: true, N: int64(sqlvalue.Datetime2Of(t))}
}
func blobArgument(b []byte) sqlvalue.Argument { return sqlvalue.Argument{Ok: true, B: b} }

var operationNumber atomic.Uint64

// newOperation returns a new operation id.
func newOperation() sqlvalue.Argument { return text(fmt.Sprintf("%016x", operationNumber.Add(1))) }

// The values of Result of the extended procedures. Source: 40-extension-sessions.sql.
const (
	resultDone         = 0
	resultNoSession    = 1
	resultLocked       = 2
	resultLockLost     = 3
	resultPrecondition = 4
	resultUnknown      = 5
	resultMoved        = 6
	resultAgain        = 7
	resultCreated      = 8
	resultOthers       = 9 // the caller of a sweep does not have the lease
)

// The values of @mode.
const (
	modeUnlessLocked = 0
	modeCreate       = 1
	modeIfMatch      = 2
)

// alter runs a SQLite statement as a call would, in the group of writers.
func alter(p *Partner, text string, args ...driver.Value) error {
	err := p.Main().Write(context.Background(), func(w *storage.Writer) error {
		st, err := w.Query(text)
		if err == nil {
			_, err = st.Exec(args...)
		}
		return w.CheckTransaction(err)
	})
	return err
}

// findProcedure returns a procedure of the partner's database.
func findProcedure(t testing.TB, p *Partner, name string) *procedure {
	t.Helper()
	found, err := committedProcedure(p.Main().Store.Objects.Load(), name)
	if err != nil || found == nil {
		t.Fatal(name, err)
	}
	return found
}

// do runs a procedure with converted arguments, and returns its first row.
func do(t testing.TB, p *Partner, name string, a ...sqlvalue.Argument) []any {
	t.Helper()
	s, proc := &session{p: p, database: mirror.DatabaseName, lockTimeout: -1}, findProcedure(t, p, name)
	for _, left := range proc.params[len(a):] { // the defaults of omitted arguments
		a = append(a, left.value)
	}
	r, err := s.runProcedure(context.Background(), proc, p.Main(), a)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, st := range r.steps {
		if st.err != nil {
			t.Fatalf("%s: %v", name, st.err)
		}
		if len(st.rows) > 0 {
			return wide(st.rows[0])
		}
	}
	return nil
}

// wide converts all integers of a row to one type.
func wide(row []any) []any {
	row = slices.Clone(row)
	for i, v := range row {
		switch n := v.(type) {
		case int32:
			row[i] = int64(n)
		case int:
			row[i] = int64(n)
		}
	}
	return row
}

// storeItem creates a session, or overwrites its item.
func storeItem(t testing.TB, p *Partner, id string, item []byte) []any {
	t.Helper()
	later := moment(time.Now().Add(time.Hour))
	return do(t, p, "MirrorState_Store_1", text(id), number64(0), later, newOperation(), later, number64(0), number64(110), number64(modeUnlessLocked),
		sqlvalue.Argument{}, sqlvalue.Argument{}, sqlvalue.Argument{}, sqlvalue.Argument{}, number64(20), number64(20), number64(0), blobArgument(item), sqlvalue.Argument{})
}

// acquire takes the lock, and returns the row and the operation id.
func acquire(t testing.TB, p *Partner, id string) ([]any, sqlvalue.Argument) {
	t.Helper()
	op := newOperation()
	later := moment(time.Now().Add(time.Hour))
	return do(t, p, "MirrorState_Acquire_1", text(id), number64(0), later, op, later, number64(110)), op
}

// update stores an item and releases the lock.
func update(t testing.TB, p *Partner, id string, lockOp sqlvalue.Argument, cookie int32, item []byte) []any {
	t.Helper()
	later := moment(time.Now().Add(time.Hour))
	return do(t, p, "MirrorState_Update_1", text(id), number64(0), later, newOperation(), later, number64(0), lockOp, number64(int64(cookie)),
		number64(0), sqlvalue.Argument{}, number64(0), blobArgument(item), sqlvalue.Argument{})
}

const benchSessions = 10_000

func fill(b *testing.B, p *Partner) []byte {
	item := make([]byte, 1024)
	for i := range benchSessions {
		storeItem(b, p, fmt.Sprintf("bench%d", i), item)
	}
	b.ResetTimer()
	return item
}

// BenchmarkEngine_lockAndStore runs two writes one after the other: the cost of a
// commit on both partners for a single client.
func BenchmarkEngine_lockAndStore(b *testing.B) {
	p := openPair(b).Partner("a")
	item := fill(b, p)
	n := 0
	for b.Loop() {
		n++
		id := fmt.Sprintf("bench%d", n*7919%benchSessions)
		row, op := acquire(b, p, id)
		update(b, p, id, op, int32(row[1].(int64)), item)
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkEngine_parallel is the same with 16 clients, which share commits.
func BenchmarkEngine_parallel(b *testing.B) {
	p := openPair(b).Partner("a")
	item := fill(b, p)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprintf("bench%d", n.Add(1)*7919%benchSessions)
			row, op := acquire(b, p, id)
			if row[0].(int64) == 0 {
				update(b, p, id, op, int32(row[1].(int64)), item)
			}
		}
	})
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkEngine_read is a shared read that does not renew the session.
func BenchmarkEngine_read(b *testing.B) {
	p := openPair(b).Partner("a")
	fill(b, p)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprintf("bench%d", n.Add(1)*7919%benchSessions)
			do(b, p, "MirrorState_Get_1", text(id), number64(0), number64(110), number64(0), number64(0), number64(1))
		}
	})
}
