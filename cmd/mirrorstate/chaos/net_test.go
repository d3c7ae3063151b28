package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// netTimeout bounds one call of .NET.
const netTimeout = 5 * time.Second

// netMinutes is the session timeout that .NET stores.
const netMinutes = 20

// netServer is the pair as .NET uses it: the stock procedures on the present principal. It does not retry. Any number
// of goroutines may use it.
type netServer struct {
	servers *embedded.Pair
	app     session.AppID
	dbs     map[string]*sql.DB
}

// startNet connects to both partners, and reads the application's id as ASP.NET does.
func startNet(t *testing.T, servers *embedded.Pair) *netServer {
	t.Helper()
	s := &netServer{servers: servers, dbs: map[string]*sql.DB{}}
	for _, name := range []string{"a", "b"} {
		dsn := servers.Partner(name).ConnectionString(embedded.DatabaseName) + ";app name=dotnet;dial timeout=2;connection timeout=5"
		db, err := sql.Open("sqlserver", dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s.dbs[name] = db
	}
	ctx, cancel := context.WithTimeout(t.Context(), netTimeout)
	defer cancel()
	id, err := storetest.NewNetClient(s.dbs[servers.Principal()]).AppID(ctx, application.Name)
	if err != nil {
		t.Fatalf("read the application's id: %v", err)
	}
	s.app = id
	return s
}

// key returns the key of the session's row.
func (s *netServer) key(ref session.Ref) string { return ref.ID.Key(s.app) }

// netClient does at random what .NET's session state module does. One goroutine uses it.
type netClient struct {
	*client
	server *netServer
}

// run takes turns until ctx ends. It finishes a turn that has begun.
func (c *netClient) run(ctx context.Context, s *stage) {
	for pause(ctx, between(c.random, 0, 100*time.Millisecond)) {
		sub := s.take(c.random.IntN(len(s.slots)))
		c.turn(sub)
		s.put(sub)
	}
}

// turn does what one page request does: write the session, read it, or create it.
func (c *netClient) turn(sub *subject) {
	switch n := c.random.IntN(10); {
	case n < 7:
		c.cycle(sub)
	case n < 9:
		c.get(sub)
	default:
		c.insert(sub)
	}
}

func (c *netClient) cycle(sub *subject) {
	out, lock := c.acquire(sub)
	if out.Result == notFound {
		c.insert(sub)
	}
	if out.Result != done {
		return
	}
	switch n := c.random.IntN(20); {
	case n < 14:
		c.update(sub, lock)
	case n < 17:
		c.release(sub, lock)
	default:
		c.remove(sub, lock)
	}
}

func (c *netClient) acquire(sub *subject) (output, grant) {
	c.seq++
	lock := grant{name: fmt.Sprintf("net-%d.%d", c.number, c.seq)}
	out := c.call(sub, input{Verb: verbAcquire, Lock: lock.name}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		item, err := nc.GetItemExclusive3(ctx, key)
		lock.Cookie = item.LockCookie
		return readByNet(item), err
	})
	return out, lock
}

func (c *netClient) get(sub *subject) {
	c.call(sub, input{Verb: verbGet}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		item, err := nc.GetItem3(ctx, key)
		return readByNet(item), err
	})
}

// readByNet returns the output of a read.
func readByNet(item storetest.NetItem) output {
	switch {
	case !item.Found:
		return output{Result: notFound}
	case item.Locked:
		return output{Result: locked}
	}
	return output{Result: done, Value: valueOf(item.Item())}
}

func (c *netClient) insert(sub *subject) {
	v, item := c.value()
	c.call(sub, input{Verb: verbPut, Value: v, OnlyCreate: true}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		insert := nc.InsertShort
		if len(item) > largeItem {
			insert = nc.InsertLong
		}
		err := insert(ctx, key, item, netMinutes)
		if storetest.DuplicateKey(err) {
			return output{Result: precondition}, nil
		}
		return output{Result: done, Made: true}, err
	})
}

func (c *netClient) update(sub *subject, lock grant) {
	v, item := c.value()
	c.call(sub, input{Verb: verbUpdate, Lock: lock.name, Value: v}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		update := nc.UpdateShortNullLong
		if len(item) > largeItem {
			update = nc.UpdateLongNullShort
		}
		return output{Result: done}, update(ctx, key, item, netMinutes, lock.Cookie)
	})
}

func (c *netClient) release(sub *subject, lock grant) {
	c.call(sub, input{Verb: verbRelease, Lock: lock.name}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		return output{Result: done}, nc.Release(ctx, key, lock.Cookie)
	})
}

func (c *netClient) remove(sub *subject, lock grant) {
	c.call(sub, input{Verb: verbRemove, Lock: lock.name}, func(ctx context.Context, nc storetest.NetClient, key string) (output, error) {
		return output{Result: done}, nc.Remove(ctx, key, lock.Cookie)
	})
}

// call calls a procedure once and records the result. .NET does not learn whether a row was changed, and does not
// retry.
func (c *netClient) call(sub *subject, in input, send func(ctx context.Context, nc storetest.NetClient, key string) (output, error)) output {
	in.Net = true
	r := record{Client: c.number, In: in, Call: c.since(), Tries: 1}
	principal := c.server.servers.Principal()
	if principal == "" {
		c.tally.answeredNet(in, nothing)
		sub.retireBusy() // a lock may be held forever now
		return output{Result: nothing}
	}
	ctx, cancel := context.WithTimeout(context.Background(), netTimeout)
	defer cancel()
	out, err := send(ctx, storetest.NewNetClient(c.server.dbs[principal]), c.server.key(sub.ref))
	r.Out, r.Return = out, c.since()
	switch {
	case err == nil:
	case classify.Classify(err, classify.Executing) == classify.Moved:
		r.Out = output{Result: nothing}
	default:
		r.Out, r.Return = output{Result: unknown}, forever
	}
	c.tally.answeredNet(in, r.Out.Result)
	if err != nil {
		sub.retireBusy()
	}
	if r.Out.Result != nothing && (r.Out.Result != unknown || in.mutates()) {
		sub.note(r)
	}
	return r.Out
}

// startNet starts the .NET clients.
func (r *run) startNet(ctx context.Context, f *fleet, running *sync.WaitGroup) {
	server := startNet(r.t, f.servers)
	for i := range netClients {
		c := &netClient{r.client(netActor - i), server}
		running.Go(func() { c.run(ctx, r.stage) })
	}
}
