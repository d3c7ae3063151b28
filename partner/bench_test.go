package partner

import (
	"context"
	"database/sql"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/tdstest"
)

// BenchmarkDo measures what Do adds to a call on a healthy principal, without the checkout of a connection and
// the call itself.
func BenchmarkDo(b *testing.B) {
	p := benchPair(b)
	op := func(context.Context, *Attempt) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(b.Context(), Call{Label: "bench"}, op); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDo_Parallel measures the same with concurrent calls, which share state.
func BenchmarkDo_Parallel(b *testing.B) {
	p := benchPair(b)
	op := func(context.Context, *Attempt) error { return nil }
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := p.Do(b.Context(), Call{Label: "bench"}, op); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchPair returns a Pair whose hold is open, with a pool without bounds or locks.
func benchPair(b *testing.B) *Pair {
	f := &fakePair{}
	ends := [2]link.Endpoint{&fakeServer{pair: f, name: choose.A}, &fakeServer{pair: f, name: choose.B}}
	p := newPair(Config{Database: "ASPState"}.withDefaults(), ends, new(memory))
	serving := &term{member: p.members[0], pool: freePool{}}
	serving.held.Target = serving
	p.hold.Open(&serving.held, nil, 0)
	return p
}

type freePool struct{}

func (freePool) Get(context.Context, context.CancelCauseFunc) (link.Lease, error) {
	return freeLease, nil
}
func (freePool) Warm(int)               {}
func (freePool) CloseIdle()             {}
func (freePool) Abort(error)            {}
func (freePool) Stats() (s sql.DBStats) { return s }

var freeLease = &noLease{}

type noLease struct{ fakeLease }

func (*noLease) Broke() bool     { return false }
func (*noLease) Received() int64 { return 0 }
func (*noLease) Release(bool)    {}

// BenchmarkWire_Do and BenchmarkWire_Bare make the same procedure call on the same server: through Do, and
// directly through database/sql.
func BenchmarkWire_Do(b *testing.B) {
	p := start(b, newWirePair(b))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(b.Context(), Call{}, work); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWire_Bare(b *testing.B) {
	w := newWirePair(b)
	db := sql.OpenDB(mssql.NewConnectorConfig(tdstest.DSN(b, w.Servers[0].Addr, "disable")))
	defer db.Close()
	ctx, cancel := context.WithCancel(b.Context()) // as a request has
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.ExecContext(ctx, "Work"); err != nil {
			b.Fatal(err)
		}
	}
}
