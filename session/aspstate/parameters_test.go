package aspstate

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// overheard is a server that records its calls, and returns nothing.
type overheard struct {
	mu    sync.Mutex
	calls []*tds.Call
}

func (o *overheard) Login(_ context.Context, l *tds.Login) (tds.Session, tds.LoginReply, error) {
	return o, tds.LoginReply{ServerName: "A", Database: "ASPState"}, nil
}

func (o *overheard) Call(_ context.Context, c *tds.Call, _ *tds.Response) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, c)
	return nil
}

func (o *overheard) Batch(context.Context, string, *tds.Response) error  { return nil }
func (o *overheard) Begin(context.Context, byte, string) (uint64, error) { return 1, nil }
func (o *overheard) Commit(context.Context) error                        { return nil }
func (o *overheard) Rollback(context.Context) error                      { return nil }
func (o *overheard) Reset(context.Context) error                         { return nil }
func (o *overheard) Close()                                              {}
func (o *overheard) taken() []*tds.Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// overhear returns such a server, and a connection to it.
func overhear(t *testing.T) (*overheard, *sql.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &overheard{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&tds.Server{Handler: o}).Serve(ctx, ln) }()
	db, err := sql.Open("sqlserver", "sqlserver://sa:x@"+ln.Addr().String()+"?database=ASPState&encrypt=disable")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		db.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o, conn
}

// family returns the types that every engine converts to each other implicitly.
func family(typ string) string {
	switch typ {
	case "int", "bigint", "smallint", "tinyint":
		return "integer"
	case "binary", "varbinary", "image":
		return "binary"
	case "datetime", "datetime2", "datetimeoffset":
		return "date and time"
	case "nvarchar", "varchar", "char", "nchar":
		return "text"
	}
	return typ
}

// declarations returns the type of each parameter of every procedure, by "procedure/parameter" in lower case.
func declarations(t *testing.T) map[string]string {
	t.Helper()
	batches, err := schema.All()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	procedure := regexp.MustCompile(`(?ms)^CREATE PROCEDURE (dbo\.\w+)\s*$(.*?)^AS\s*$`)
	parameter := regexp.MustCompile(`(?m)^\s+@(\w+)\s+(\w+)`)
	for _, b := range batches {
		for _, p := range procedure.FindAllStringSubmatch(b.Text, -1) {
			for _, one := range parameter.FindAllStringSubmatch(p[2], -1) {
				all[strings.ToLower(p[1]+"/"+one[1])] = strings.ToLower(one[2])
			}
		}
	}
	return all
}

// Every parameter is sent with its own type, even if it is NULL. Some engines would treat an untyped NULL as text.
func TestParameters_AreTyped(t *testing.T) {
	o, conn := overhear(t)
	ctx := t.Context()
	now := time.Now()
	long := bytes.Repeat([]byte{1}, maxShort+1)
	match := version{created: now, cookie: 3, locked: true, newest: make([]byte, 16)}.tag()
	ref := session.Ref{App: &session.Application{Name: "x", Timeout: 20, LockTimeout: time.Minute}, ID: "aaaaaaaaaaaaaaaaaaaaaaaa"}
	newCall := func(resent, shared bool) *call {
		op := begun(session.Operation{})
		if shared {
			op.Call, op.Waited = session.NewOperationID(), match
		}
		return &call{Attempt: &partner.Attempt{Partner: partner.A, Conn: conn, Epoch: 1, Resent: resent, Sent: now, FirstSent: now, NotAfter: now}, ref: ref, key: "k", op: op}
	}
	lock := session.Lock{Operation: session.NewOperationID(), Cookie: 1}
	for _, d := range []dialect{extended{}, stock{}} {
		for _, c := range []*call{newCall(false, false), newCall(true, true)} {
			// The server returns nothing, so every call fails. Only the sent parameters are checked.
			_, _ = d.get(ctx, c, session.GetOptions{})
			_, _ = d.get(ctx, c, session.GetOptions{Peek: true, AllowLocked: true, NoItem: true})
			_, _, _ = d.acquire(ctx, c)
			_, _ = d.touch(ctx, c)
			for _, op := range []session.Operation{{Timeout: 5, Create: true}, {Timeout: 2, Seconds: 90, Create: true}} {
				other := *c
				other.op.Timeout, other.op.Seconds, other.op.Create = op.Timeout, op.Seconds, true
				_, _, _ = d.acquire(ctx, &other)
				_, _ = d.touch(ctx, &other)
				_ = d.release(ctx, &other, lock)
			}
			for _, w := range []session.Write{{}, {Item: []byte("x"), Timeout: 5}, {Item: long, Uninitialized: true}, {Timeout: 2, Seconds: 90}} {
				for _, keep := range []bool{false, true} {
					_, _ = d.update(ctx, c, lock, w, keep)
				}
				for _, cond := range []session.Condition{{}, {OnlyCreate: true}, {Match: match}} {
					_, _ = d.put(ctx, c, w, cond)
				}
			}
			for _, l := range []session.Lock{{}, lock} {
				_ = d.release(ctx, c, l)
				_ = d.giveBack(ctx, c, l)
				_ = d.remove(ctx, c, l)
			}
		}
	}
	a := newCall(false, false).Attempt
	_, _ = fleetSecret(ctx, a, nil)
	_, _ = getAppID(ctx, a, "x", true)
	_, _ = tempGetAppID(ctx, a, "x")
	_, _ = sweepOnExtended(ctx, a, sweepAsk{})
	_, _ = sweepOnExtended(ctx, a, sweepAsk{owner: session.NewOperationID(), limit: 1})

	declared := declarations(t)
	seen, wrong := map[string]bool{}, map[string]bool{}
	for _, c := range o.taken() {
		for _, p := range c.Params {
			if c.Name == "" {
				continue // a query through sp_executesql
			}
			key := strings.ToLower(c.Name + "/" + strings.TrimPrefix(p.Name, "@"))
			seen[key] = true
			want, there := declared[key]
			if got := p.Type.Kind().String(); !there || family(got) != family(want) {
				wrong[fmt.Sprintf("%s is declared %q, and goes out as %s (%v)", key, want, got, p.Value)] = true
			}
		}
	}
	for text := range wrong {
		t.Error(text)
	}
	for key := range declared {
		if procedure, _, _ := strings.Cut(key, "/"); strings.HasPrefix(procedure, "dbo.mirrorstate_") && calledByStore(procedure) && !seen[key] {
			t.Errorf("%s was never sent", key)
		}
	}
}

// calledByStore reports whether this package calls the procedure. Other procedures call Enter, and package partner
// calls those for the epoch.
func calledByStore(procedure string) bool {
	for _, other := range []string{"enter", "settle", "takeepoch", "raiseepoch"} {
		if strings.HasPrefix(procedure, "dbo.mirrorstate_"+other) {
			return false
		}
	}
	return true
}
